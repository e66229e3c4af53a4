/** Objects from short lines: `kind name spec`, or `kind name@namespace!creationTimestamp spec`. */
import { type AnyResource, parseManifests } from "../../crds/mod.ts";

export function objects(...lines: readonly string[]): AnyResource[] {
  const text = lines.map((line) => {
    const [, kind, name, namespace = "default", created, spec] =
      /^(\w+) ([\w-]+)(?:@([\w-]+))?(?:!(\S+))? (.*)$/s.exec(line) ?? [];
    const time = created === undefined ? "" : `, creationTimestamp: "${created}"`;
    return `apiVersion: postroom.dev/v1alpha1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}${time}}\nspec: ${spec}\n`;
  });
  const { resources, faults } = parseManifests([{ path: "t.yaml", text: text.join("---\n") }]);
  if (faults.length > 0) throw new Error(JSON.stringify(faults));
  return resources.map(({ resource }) => resource);
}
