/** Writes the generated files. `npm run gen`; with --check it writes nothing and exits 1 when one of them is out of date. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as yaml from "js-yaml";
import { CUSTOM_RESOURCES, customResourceDefinition } from "../crds/custom-resource.ts";
import { parseManifests } from "../crds/mod.ts";
import { chartFiles } from "./chart-docs.ts";
import { renderCrdDocs } from "./crd-docs.ts";

const ROOT = join(import.meta.dirname, "..");
const SAMPLES = join(ROOT, "samples/contoso");

const GENERATED = "# Generated from the schemas in crds/ by `npm run gen`: do not edit.\n";

/** Path below the root -> content. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const definitions = CUSTOM_RESOURCES.map((resource): [string, string] => [
    `charts/postroom/files/crds/${resource.plural}.yaml`,
    GENERATED + yaml.dump(customResourceDefinition(resource), { lineWidth: 110, noRefs: true }),
  ]);
  return new Map([["docs/crds.md", renderCrdDocs(sampleManifests())], ...definitions, ...chartFiles()]);
}

export function outdatedFiles(): string[] {
  return [...generatedFiles()]
    .filter(([path, content]) => {
      const file = join(ROOT, path);
      return !existsSync(file) || readFileSync(file, "utf8") !== content;
    })
    .map(([path]) => path);
}

/** The first manifest of each kind in the sample: an example that is known to be valid. */
function sampleManifests(): Map<string, string> {
  const examples = new Map<string, string>();
  for (const name of readdirSync(SAMPLES).sort()) {
    for (const text of readFileSync(join(SAMPLES, name), "utf8").split(/^---\n/m)) {
      const [first] = parseManifests([{ path: name, text }]).resources;
      const kind = first?.resource.kind;
      if (kind !== undefined && !examples.has(kind)) examples.set(kind, text);
    }
  }
  return examples;
}

function write(file: string, content: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}

if (import.meta.main) {
  const check = process.argv.includes("--check");
  for (const path of outdatedFiles()) {
    console.log(`${check ? "out of date, run npm run gen" : "written"}: ${path}`);
    if (check) process.exitCode = 1;
    else write(join(ROOT, path), generatedFiles().get(path) ?? "");
  }
}
