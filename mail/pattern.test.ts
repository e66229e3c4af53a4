import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { capEvidence, checkPattern, compilePattern } from "./pattern.ts";

describe("checkPattern()", () => {
  test.each([
    { name: "a plain pattern has no fault", source: "invoice \\d+", want: undefined },
    { name: "a list of words has no fault", source: "\\b(urgent|wire transfer)\\b", want: undefined },
    { name: "a Unicode class has no fault", source: "\\p{Greek}+", want: undefined },
    { name: "a long literal has no fault", source: "x".repeat(1024), want: undefined },
    { name: "a moderate counted repeat has no fault", source: "a.{0,60}b", want: undefined },
    { name: "look-ahead is named", source: "a(?=b)", want: /look-around/ },
    { name: "negative look-ahead is named", source: "a(?!b)", want: /look-around/ },
    { name: "look-behind is named", source: "(?<=a)b", want: /look-around/ },
    { name: "negative look-behind is named", source: "(?<!a)b", want: /look-around/ },
    { name: "a back-reference is named", source: "(a)\\1", want: /back-reference/ },
    { name: "a named back-reference is named", source: "(?<n>a)\\k<n>", want: /back-reference/ },
    { name: "an open class is named", source: "[a", want: /missing closing \]/ },
    { name: "an open group is named", source: "(a", want: /missing closing \)/ },
    { name: "a doubled quantifier is named", source: "a++", want: /nested repetition/ },
    { name: "nested counted repeats are refused", source: "(a{1,50}){1,50}", want: /repeat/ },
    {
      name: "a big counted repeat is refused with its size",
      source: ".*a.{900}b",
      want: /expand to \d+ steps/,
    },
  ])("$name", ({ source, want }) => {
    const fault = checkPattern(source);
    if (want === undefined) expect(fault).toBeUndefined();
    else expect(fault).toMatch(want);
  });

  test("never throws, and compilePattern() throws exactly when there is a fault", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 40 }), (source) => {
        const fault = checkPattern(source);
        if (fault === undefined) expect(compilePattern(source).source).toBe(source);
        else expect(() => compilePattern(source)).toThrow();
      }),
    );
  });
});

describe("compilePattern()", () => {
  test.each([
    {
      name: "the matched text is the evidence",
      source: "inv\\w+ \\d+",
      text: "your Invoice 42 is",
      want: "Invoice 42",
    },
    { name: "no match is undefined", source: "inv", text: "bill", want: undefined },
    { name: "case does not matter beyond ASCII either", source: "müller", text: "MÜLLER", want: "MÜLLER" },
    { name: "an empty match is a match", source: "x*", text: "", want: "" },
    { name: "^ and $ mean the whole text", source: "^b$", text: "a\nb\nc", want: undefined },
    { name: "(?m) makes ^ and $ mean lines", source: "(?m)^b$", text: "a\nb\nc", want: "b" },
    { name: "evidence is capped", source: "a+", text: "a".repeat(100), want: "a".repeat(64) },
    {
      name: "a match far into a long text is found",
      source: "need\\w+",
      text: `${"hay ".repeat(250_000)}needle`,
      want: "needle",
    },
    {
      name: "a match across windows is found",
      source: "need\\w+",
      text: `${"h".repeat(4093)} needle ${"h".repeat(9000)}`,
      want: "needle",
    },
    {
      name: "a match longer than a window is shown by its beginning",
      source: "^a+$",
      text: "a".repeat(20_000),
      want: "a".repeat(64),
    },
    { name: "a lone surrogate is no trouble", source: "a.b", text: "a\ud800b", want: "a\ud800b" },
  ])("$name", ({ source, text, want }) => {
    expect(compilePattern(source).test(text)).toBe(want);
  });

  // Each of these keeps a backtracking engine busy for longer than the universe exists.
  test.each([
    "(a+)+$",
    "(a|aa)+$",
    "(a*)*b",
    "(.*a){12}[^a]$",
    "(x+x+)+y",
    "(a|b)*a(a|b){30}c",
    "(?:a?){40}a{40}$",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
  ])("%s finishes on a hostile megabyte", (source) => {
    const pattern = compilePattern(source);
    expect(pattern.test(`${"a".repeat(1 << 20)}!`)).toSatisfy(
      (x) => x === undefined || typeof x === "string",
    );
  });

  test.each(["(a|b)*a(a|b){15}[^ab]", ".*a.{120}[^ab]"])(
    "%s finishes on text that needs every state",
    (source) => {
      let seed = 7;
      const letters = Array.from({ length: 1 << 16 }, () => {
        seed = Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d) + 0x6d2b79f5;
        return (seed >>> 20) & 1 ? "a" : "b";
      });
      const text = `c${letters.join("")}`;
      expect(compilePattern(source).test(text)).toBeUndefined();
      expect(compilePattern(source).test(`${text}!`)).toBeTypeOf("string");
    },
  );

  test("agrees with V8 wherever both take the pattern", () => {
    const atom = fc.constantFrom(
      "a",
      "b",
      "ab",
      ".",
      "[ab]",
      "[^a]",
      "\\d",
      "\\b",
      "^",
      "$",
      "(?:a|b)",
      "(?:ab|c)",
    );
    const piece = fc
      .tuple(atom, fc.constantFrom("", "", "*", "+", "?", "{2}"))
      .map(([a, q]) => `(?:${a})${q}`);
    const source = fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join(""));
    const text = fc.string({ unit: fc.constantFrom("a", "b", "c", "A", "1", " "), maxLength: 30 });
    fc.assert(
      fc.property(source, text, (s, t) => {
        const own = compilePattern(s).test(t);
        expect(own).toBe(new RegExp(s, "i").exec(t)?.[0]);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("capEvidence()", () => {
  test("never cuts a surrogate pair", () => {
    expect(capEvidence(`${"a".repeat(63)}😀`)).toBe("a".repeat(63));
  });
});
