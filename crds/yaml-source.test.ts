import fc from "fast-check";
import * as yaml from "js-yaml";
import { describe, expect, test } from "vitest";
import { type FieldPath, readYaml } from "./yaml-source.ts";

function lineOf(text: string, path: FieldPath): number | undefined {
  return readYaml(text).documents[0]?.lineOf(path);
}

describe("readYaml() lines", () => {
  test.each<{ name: string; text: string; path: FieldPath; want: number }>([
    { name: "a field has the line of its key", text: "# c\na:\n  b:\n    1\n", path: ["a", "b"], want: 3 },
    { name: "an item has its own line", text: "a:\n- x\n- y\n", path: ["a", 1], want: 3 },
    { name: "flow style too", text: "a: {b: 1,\n  c: [2,\n  3]}\n", path: ["a", "c", 1], want: 3 },
    { name: "a field after a block scalar", text: "a: |\n  x\n  y\n\nb: 1\n", path: ["b"], want: 5 },
    { name: "a field after an empty value", text: "a:\nb:\nc: 1\n", path: ["b"], want: 2 },
    {
      name: "an unwritten field has the line of its parent",
      text: "a: 1\nb:\n  c: 1\n",
      path: ["b", "d", "e"],
      want: 2,
    },
    { name: "a quoted key", text: "\"a b\": 1\n'c': 2\n", path: ["c"], want: 2 },
    { name: "CRLF line ends", text: "a: 1\r\nb: 2\r\n", path: ["b"], want: 2 },
    { name: "a byte order mark", text: "\ufeffa: 1\nb: 2\n", path: ["b"], want: 2 },
    { name: "an alias has the line where it is used", text: "a: &x {b: 1}\nc: *x\n", path: ["c"], want: 2 },
    {
      name: "what an alias holds has the line where it is written",
      text: "a: &x\n  b: 1\nc: *x\n",
      path: ["c", "b"],
      want: 2,
    },
  ])("$name", ({ text, path, want }) => expect(lineOf(text, path)).toBe(want));

  test("each document counts from the top of the file", () => {
    const { documents } = readYaml("a: 1\n---\nb: 2\n--- # three\nc: 3\n...\n---\nd: 4\n");
    const keys = ["a", "b", "c", "d"];
    expect(documents.map((document, at) => document.lineOf([keys[at] ?? ""]))).toEqual([1, 3, 5, 8]);
  });
});

describe("readYaml() faults", () => {
  test.each<{ name: string; text: string; want: string[] }>([
    {
      name: "a tab as indentation",
      text: "a:\n\tb: 1\n",
      want: ["2 YAML: tab characters must not be used in indentation"],
    },
    {
      name: "an unfinished list, and the next document is read",
      text: "a: [1\n---\nb: 1\n",
      want: ["1 YAML: deficient indentation"],
    },
    { name: "bad indentation", text: "a: 1\n b: 2\n", want: ["2 YAML: bad indentation of a mapping entry"] },
    {
      name: "a key that is a list",
      text: "a: 1\n? [x]\n: 2\n",
      want: ["2 YAML: a key must be a plain word"],
    },
    {
      name: "an alias without anchor",
      text: "a: 1\nb: *x\n",
      want: ["2 YAML: alias *x has no anchor before it"],
    },
    {
      name: "an alias of itself",
      text: "a: &x\n  - *x\n",
      want: ["2 YAML: alias *x has no anchor before it"],
    },
    {
      name: "an unknown tag",
      text: "a: !!js/function x\n",
      want: ["1 YAML: unknown scalar tag !<tag:yaml.org,2002:js/function>"],
    },
    { name: "a NUL", text: "a: \0\n", want: ["1 YAML: null byte is not allowed in input"] },
    {
      name: "deep nesting",
      text: `a: ${"[".repeat(50_000)}`,
      want: ["1 YAML: nesting exceeded maxDepth (64)"],
    },
  ])("$name is told at its line", ({ text, want }) => {
    expect(readYaml(text).faults.map(({ line, reason }) => `${line} ${reason}`)).toEqual(want);
  });

  test("a key that stands twice belongs to its document, and the last one counts", () => {
    const [document] = readYaml("a:\n  b: 1\n  b: 2\n").documents;
    expect(document?.value).toEqual({ a: { b: 2 } });
    expect(document?.faults).toEqual([
      { line: 3, path: ["a", "b"], reason: "stands twice in the same object" },
    ]);
  });

  test("aliases that stand for billions of values are refused", () => {
    const levels = Array.from({ length: 12 }, (_, at) => {
      const items = at === 0 ? "x" : `*a${at - 1}`;
      return `a${at}: &a${at} [${Array(10).fill(items).join(", ")}]\n`;
    });
    expect(readYaml(levels.join("")).faults.map(({ reason }) => reason)).toEqual([
      "YAML: aliases stand for more than 100000 values",
    ]);
  });

  test("a file beyond 10 MiB is not read", () => {
    const { documents, faults } = readYaml(`a: ${"x".repeat(10 * 2 ** 20)}`);
    expect(documents).toEqual([]);
    expect(faults).toEqual([{ line: 1, path: [], reason: "the file is larger than 10 MiB" }]);
  });

  test("a key named like an object's own parts is just a key", () => {
    const [document] = readYaml("__proto__: {polluted: true}\nconstructor: 1\n").documents;
    expect(Object.keys(document?.value as object)).toEqual(["__proto__", "constructor"]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe("readYaml() properties", () => {
  test("any text gives documents or faults, never an exception", () => {
    const noise = fc.stringMatching(/^[a-c :\-[\]{},&*!|>'"%#?\n\t0.]*$/);
    fc.assert(
      fc.property(fc.oneof(noise, fc.string({ unit: "binary" })), (text) => {
        const { documents, faults } = readYaml(text);
        for (const document of documents) expect(document.lineOf(["a", 0])).toBeGreaterThanOrEqual(1);
        for (const { line } of faults) expect(line).toBeLessThanOrEqual(text.split("\n").length + 1);
      }),
      { numRuns: 2000 },
    );
  });

  test("what is dumped is read back the same", () => {
    const value = fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.jsonValue({ maxDepth: 3 }), {
      noNullPrototype: true,
    });
    fc.assert(
      fc.property(value, (object) => {
        const { documents, faults } = readYaml(yaml.dump(object));
        expect(faults).toEqual([]);
        expect(JSON.stringify(documents[0]?.value)).toEqual(JSON.stringify(object));
      }),
      { numRuns: 300 },
    );
  });
});
