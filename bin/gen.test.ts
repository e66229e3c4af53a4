import { expect, test } from "vitest";
import { KINDS } from "../crds/mod.ts";
import { generatedFiles, outdatedFiles } from "./gen.ts";

test("the generated files are current", () => expect(outdatedFiles()).toEqual([]));

test("every kind has its section, an example and the row of each top-level field", () => {
  const text = generatedFiles().get("docs/crds.md") ?? "";
  for (const { kind, spec } of KINDS) {
    const section = text.split(`\n## ${kind}\n`)[1]?.split("\n## ")[0] ?? "";
    expect(section).toContain(`kind: ${kind}\n`);
    for (const field of Object.keys(spec.shape)) expect(section).toContain(`| \`spec.${field}\` |`);
  }
});

test("no row of a table is torn by a bar or a line end", () => {
  const rows = (generatedFiles().get("docs/crds.md") ?? "")
    .split("\n")
    .filter((line) => line.startsWith("| "));
  for (const row of rows) expect(row.split(/(?<!\\)\|/)).toHaveLength(6);
});
