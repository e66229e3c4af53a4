import { describe, expect, test } from "vitest";
import { ManifestMemory } from "./manifest-memory.ts";
import { type LoadedManifests, parseManifests } from "./manifest-reader.ts";

const HEAD = "apiVersion: postroom.dev/v1alpha1\nkind: AcceptedDomain\n";
const domain = (name: string) => `${HEAD}metadata: {name: ${name}}\nspec: {domains: [${name}.example]}\n`;
const A = { path: "a.yaml", text: domain("a") };
const B = { path: "b.yaml", text: domain("b") };

/** What is said of the files, lines included. */
function told({ resources, faults, broken, incomplete, secrets }: LoadedManifests) {
  const named = resources.map(({ resource, file, line, lineOf }) => [
    resource,
    file,
    line,
    lineOf("spec.domains[0]"),
  ]);
  return { named, faults, broken, incomplete, secrets };
}

describe("ManifestMemory", () => {
  test("a file that has not changed gives the very same object, one that has gives its new one", () => {
    const memory = new ManifestMemory();
    const [a, b] = parseManifests([A, B], memory).resources;
    const changed = parseManifests([A, { path: "b.yaml", text: domain("c") }], memory).resources;
    expect(changed[0]?.resource).toBe(a?.resource);
    expect(changed[1]?.resource).not.toEqual(b?.resource);
    expect(changed[1]?.resource.metadata.name).toBe("c");
  });

  test.each([
    { name: "as they were", files: [A, B] },
    {
      name: "one with a fault",
      files: [A, { path: "b.yaml", text: domain("b").replace("domains", "domain") }],
    },
    { name: "one that is no YAML", files: [A, { path: "b.yaml", text: "kind: [\n" }] },
    { name: "the fault mended", files: [A, B] },
    { name: "the object moved down", files: [A, { path: "b.yaml", text: `# new\n---\n${domain("b")}` }] },
    { name: "the same object in both", files: [A, { path: "b.yaml", text: domain("a") }] },
    { name: "one gone", files: [B] },
    { name: "the same text under another name", files: [{ path: "z.yaml", text: A.text }, B] },
  ])("with files $name it says what is said without it", ({ files }) => {
    const memory = new ManifestMemory();
    parseManifests([A, B], memory);
    parseManifests([A, { path: "b.yaml", text: "- 1\n" }], memory);
    expect(told(parseManifests(files, memory))).toEqual(told(parseManifests(files)));
    expect(told(parseManifests(files, memory))).toEqual(told(parseManifests(files)));
  });
});
