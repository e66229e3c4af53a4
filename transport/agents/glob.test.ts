import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileGlob } from "./glob.ts";

const matchesGlob = (pattern: string, text: string) => compileGlob(pattern)(text);

describe("compileGlob()", () => {
  test.each([
    { name: "a plain text matches itself", pattern: "a.exe", text: "A.EXE", want: true },
    { name: "and nothing longer", pattern: "a.exe", text: "a.exe2", want: false },
    { name: "* matches nothing", pattern: "a*.exe", text: "a.exe", want: true },
    { name: "* matches anything", pattern: "*", text: "a.b.c", want: true },
    { name: "? matches exactly one", pattern: "?.exe", text: ".exe", want: false },
    {
      name: "? matches one character beyond the basic plane",
      pattern: "?.exe",
      text: "\u{1f600}.exe",
      want: true,
    },
    { name: "several stars find their places", pattern: "*a*b", text: "xaxbxb", want: true },
    { name: "a dot is a dot", pattern: "*.exe", text: "axexe", want: false },
    { name: "brackets are plain", pattern: "[ab].exe", text: "a.exe", want: false },
    { name: "an empty pattern matches only nothing", pattern: "", text: "a", want: false },
    { name: "an ending matches in any case", pattern: "*.EXE", text: "A.exe", want: true },
    { name: "an ending alone is enough", pattern: "*.exe", text: ".exe", want: true },
    { name: "stars match nothing", pattern: "**", text: "", want: true },
  ])("$name", ({ pattern, text, want }) => {
    expect(matchesGlob(pattern, text)).toBe(want);
  });

  test("it agrees with the regular expression of the pattern", () => {
    const from = (characters: string) => fc.string({ unit: fc.constantFrom(...characters), maxLength: 8 });
    fc.assert(
      fc.property(from("ab*?"), from("ab"), (pattern, text) => {
        const regex = new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`);
        expect(matchesGlob(pattern, text)).toBe(regex.test(text));
      }),
      { numRuns: 2_000 },
    );
  });

  test("a pattern made to be slow is not", () => {
    const from = performance.now();
    expect(matchesGlob(`${"*a".repeat(128)}b`, "a".repeat(10_000))).toBe(false);
    expect(performance.now() - from).toBeLessThan(10_000);
  });
});
