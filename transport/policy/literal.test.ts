import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compilePattern } from "../../mail/pattern.ts";
import { foldText } from "./fold.ts";
import { requiredLiteral } from "./literal.ts";

describe("requiredLiteral()", () => {
  test.each([
    { name: "a plain word is required", source: "Invoice", want: "invoice" },
    { name: "the longest run is taken", source: "ab\\d+invoice\\s+no", want: "invoice" },
    { name: "a run ends before an optional character", source: "invoices?", want: "invoice" },
    { name: "a repeated character ends the run", source: "hello+world!", want: "world!" },
    { name: "an escaped sign belongs to the run", source: "a\\.b@c\\.d", want: "a.b@c.d" },
    { name: "groups and classes are skipped", source: "(?:foo|bar)[a-z]+invoice(x|y)?", want: "invoice" },
    { name: "a bar at the top requires nothing", source: "invoice|bill", want: undefined },
    { name: "flags in the middle require nothing", source: "(?-i)Invoice", want: undefined },
    { name: "unknown escapes require nothing", source: "\\x{41}invoice", want: undefined },
    { name: "quoting requires nothing", source: "\\Qa.b\\Einvoice", want: undefined },
    { name: "nested classes require nothing", source: "[[:alpha:]]invoice", want: undefined },
    { name: "two characters are too few", source: "ab\\d", want: undefined },
  ])("$name", ({ source, want }) => {
    expect(requiredLiteral(source)).toBe(want);
  });

  test("whatever a pattern matches holds its literal", () => {
    const piece = fc.constantFrom(
      "abc",
      "cafe",
      "bcd",
      "K",
      "s",
      ".",
      "\\d",
      "\\.",
      "(?:abc|x)",
      "[a-c]",
      "x?",
      "b*",
      "c{2}",
      "c{0,1}",
      "b{0}",
      "|",
      "(abc)?",
      "(?i)",
      "é",
      "\\b",
      "a+?",
      "{",
      "}",
      "{2",
      "]",
      "[]a]",
      "(\\)abc)?",
      "([)]|abc)",
    );
    const source = fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join(""));
    const part = fc.constantFrom(
      "abc",
      "cafe",
      "ABC",
      "bcd",
      "\u212a",
      "ſ",
      "k",
      "s",
      "x",
      "b",
      "c",
      "cc",
      ".",
      "1",
      "é",
      "É",
      "e\u0301",
      "{",
      "}",
      "]",
      ")",
      "{2",
    );
    const text = fc.array(part, { maxLength: 8 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(source, text, (s, t) => {
        const literal = requiredLiteral(s);
        if (literal === undefined) return;
        let matched: string | undefined;
        try {
          matched = compilePattern(s).test(t.normalize("NFC"));
        } catch {
          return;
        }
        if (matched !== undefined) expect(foldText(t)).toContain(literal);
      }),
      { numRuns: 5000 },
    );
  });
});
