/** Writes the generated files. `npm run gen`; with --check it writes nothing and exits 1 when one of them is out of date. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseManifests } from "../crds/mod.ts";
import { renderCrdDocs } from "./crd-docs.ts";

const ROOT = join(import.meta.dirname, "..");
const SAMPLES = join(ROOT, "samples/contoso");

/** Path below the root -> content. */
export function generatedFiles(): ReadonlyMap<string, string> {
  return new Map([["docs/crds.md", renderCrdDocs(sampleManifests())]]);
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

if (import.meta.main) {
  const check = process.argv.includes("--check");
  for (const path of outdatedFiles()) {
    console.log(`${check ? "out of date, run npm run gen" : "written"}: ${path}`);
    if (check) process.exitCode = 1;
    else writeFileSync(join(ROOT, path), generatedFiles().get(path) ?? "");
  }
}
