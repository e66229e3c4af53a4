/** What an editor's slip may do to manifests in force: nothing is lost, nothing fails open. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseManifests } from "../crds/mod.ts";
import { compileSnapshot } from "./compile.ts";
import type { Snapshot } from "./schema.ts";

const folder = join(import.meta.dirname, "../samples/contoso");
const files = readdirSync(folder).map((path) => ({ path, text: readFileSync(join(folder, path), "utf8") }));

function load(changed: readonly { path: string; text: string }[], previous?: Snapshot) {
  const { resources, broken, incomplete, faults, secrets } = parseManifests(changed);
  const objects = resources.map(({ resource }) => resource);
  return { faults, ...compileSnapshot({ resources: objects, previous, broken, incomplete, secrets }) };
}

const previous = load(files).snapshot;

function names(snapshot: Snapshot | undefined): string[] {
  if (snapshot === undefined) return [];
  const { receiveConnectors, sendConnectors, acceptedDomains, rules } = snapshot;
  return [...receiveConnectors, ...sendConnectors, ...acceptedDomains, ...rules].map(({ name }) => name);
}

/** Where, and what is done there. */
const slip = fc.record({
  file: fc.nat({ max: files.length - 1 }),
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  kind: fc.constantFrom("insert", "replace", "delete character", "delete line", "cut off"),
  text: fc.constantFrom(..."ax-#:[]{}\"'\t\n &*!|>%@0,"),
});

function damage(text: string, { at, kind, text: sign }: { at: number; kind: string; text: string }): string {
  const offset = Math.floor(at * text.length);
  if (kind === "insert") return text.slice(0, offset) + sign + text.slice(offset);
  if (kind === "replace") return text.slice(0, offset) + sign + text.slice(offset + 1);
  if (kind === "delete character") return text.slice(0, offset) + text.slice(offset + 1);
  if (kind === "cut off") return text.slice(0, offset);
  const lines = text.split("\n");
  lines.splice(Math.floor(at * lines.length), 1);
  return lines.join("\n");
}

test("a slip that gives a fault leaves every object in force; no slip throws", () => {
  fc.assert(
    fc.property(slip, (one) => {
      const changed = files.map((file, index) =>
        index === one.file ? { ...file, text: damage(file.text, one) } : file,
      );
      const { faults, snapshot } = load(changed, previous);
      // A file cut off between two objects is a smaller file without fault: that is a deletion.
      if (one.kind === "cut off") return;
      expect(snapshot).toBeDefined();
      if (faults.length > 0) expect(names(snapshot)).toEqual(expect.arrayContaining(names(previous)));
    }),
    { numRuns: 1500 },
  );
});
