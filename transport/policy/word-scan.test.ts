import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { foldText } from "./fold.ts";
import { FoldedCodes } from "./folded-codes.ts";
import { createWordScan, type WordScan } from "./word-scan.ts";

function scanFor(strings: readonly string[]): WordScan {
  const scan = createWordScan();
  for (const text of strings) scan.add(text);
  return scan;
}

function words(strings: readonly string[], text: string): string[] {
  return [...scanFor(strings.map(foldText)).scan(text).words.values].sort();
}

describe("createWordScan()", () => {
  test.each([
    { name: "a word is found without case", strings: ["Secret"], text: "TOP SECRET file", want: ["secret"] },
    { name: "a part of a word is no word", strings: ["cat"], text: "concatenate cats", want: [] },
    { name: "punctuation bounds a word", strings: ["cat"], text: "(cat)", want: ["cat"] },
    { name: "an underscore does not", strings: ["cat"], text: "my_cat", want: [] },
    { name: "a letter beyond ASCII does not", strings: ["ber"], text: "über", want: [] },
    { name: "a combining mark does not", strings: ["e"], text: "e\u0323", want: [] },
    { name: "a letter beyond the BMP does not", strings: ["a"], text: "𝒜a a𝒜", want: [] },
    {
      name: "half a surrogate pair bounds a word",
      strings: ["sale"],
      text: "x\udc9csale\ud835x",
      want: ["sale"],
    },
    { name: "an emoji bounds a word", strings: ["sale"], text: "😀sale😀", want: ["sale"] },
    { name: "words beyond ASCII have no case", strings: ["MÜLLER"], text: "frau müller", want: ["müller"] },
    { name: "composed and decomposed are one", strings: ["café"], text: "cafe\u0301", want: ["café"] },
    { name: "both lower-case sigmas are one", strings: ["ΟΔΟΣ"], text: "οδοσ", want: ["οδοσ"] },
    {
      name: "a phrase is found",
      strings: ["wire transfer"],
      text: "a wire transfer.",
      want: ["wire transfer"],
    },
    {
      name: "a word that ends in signs is found",
      strings: ["c++"],
      text: "I like C++, really",
      want: ["c++"],
    },
    {
      name: "words inside words are all found",
      strings: ["a b", "b", "a b c"],
      text: "a b c",
      want: ["a b", "a b c", "b"],
    },
    {
      name: "a later whole word counts after an earlier part",
      strings: ["cat"],
      text: "cats and a cat",
      want: ["cat"],
    },
    { name: "no strings find nothing", strings: [], text: "anything", want: [] },
  ])("$name", ({ strings, text, want }) => {
    expect(words(strings, text)).toEqual(want);
  });

  test("finds what a plain search finds", () => {
    const ascii = fc.constantFrom("a", "B", "c", " ", "\n", "-");
    const any = fc.oneof(
      ascii,
      fc.constantFrom("é", "e\u0301", "ß", "µ", "Σ", "ς", "ſ", "\u00a0", "İ", "\u212a", "𝒜", "😀"),
      fc.constantFrom("\ud835", "\udc9c"),
      // Their low eight bits are those of a line end, a space, "a" and "B".
      fc.constantFrom("\u010a", "\u4e20", "\u0161", "\u0142"),
    );
    const kinds = fc.record({ unit: fc.constantFrom(ascii, any), minLength: fc.nat({ max: 4 }) });
    const texts = kinds.chain(({ unit, minLength }) =>
      fc.record({
        strings: fc.array(fc.string({ unit, minLength, maxLength: minLength + 4 }), { maxLength: 20 }),
        text: fc.string({ unit, maxLength: 60 }),
      }),
    );
    fc.assert(
      fc.property(texts, ({ strings, text }) => {
        const wanted = [...new Set(strings.map(foldText))].filter((one) => one !== "");
        const folded = foldText(text);
        const found = scanFor(wanted).scan(text);
        expect([...found.literals.values].sort()).toEqual(wanted.filter((s) => folded.includes(s)).sort());
        expect([...found.words.values].sort()).toEqual(wanted.filter((s) => holdsWord(folded, s)).sort());
      }),
      { numRuns: 3000 },
    );
  });

  test("strings added between texts are found like those of before", () => {
    const unit = fc.constantFrom("a", "b", "c");
    const texts = fc.array(fc.string({ unit, minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(texts, fc.string({ unit, maxLength: 40 }), (list, text) => {
        const scan = createWordScan();
        for (const [index, added] of list.entries()) {
          scan.add(added);
          const wanted = new Set(list.slice(0, index + 1).filter((one) => text.includes(one)));
          expect(new Set(scan.scan(text).literals.values)).toEqual(wanted);
        }
        expect(scan.size).toBe(new Set(list).size);
      }),
    );
  });

  test("strings that are all long are found wherever they begin", () => {
    const unit = fc.constantFrom("a", "b", "c");
    const texts = fc.array(fc.string({ unit, minLength: 4, maxLength: 9 }), { minLength: 1, maxLength: 4 });
    const parts = fc.array(fc.string({ unit, maxLength: 9 }), { maxLength: 6 });
    fc.assert(
      fc.property(texts, parts, (list, around) => {
        const text = around.map((part, index) => part + (list[index] ?? "")).join("");
        const scan = createWordScan();
        for (const [index, added] of list.entries()) {
          scan.add(added);
          const wanted = new Set(list.slice(0, index + 1).filter((one) => text.includes(one)));
          expect(new Set(scan.scan(text).literals.values)).toEqual(wanted);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("long strings with white space in them are found behind and within runs of it", () => {
    const letters = fc.constantFrom("a", "b", " ");
    const wide = fc.constantFrom("a", "B", " ", "\n", "\r\n", "\t");
    const strings = fc.array(fc.string({ unit: letters, minLength: 6, maxLength: 10 }).map(foldText), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(strings, fc.array(fc.string({ unit: wide, maxLength: 9 })), (all, around) => {
        const list = [...new Set(all)].filter((one) => one.length >= 5);
        const spread = list.map((one) => one.replaceAll(" ", " \r\n "));
        const text = around.map((part, index) => part + (spread[index] ?? "")).join("");
        const folded = foldText(text);
        const found = scanFor(list).scan(text);
        expect(new Set(found.literals.values)).toEqual(new Set(list.filter((one) => folded.includes(one))));
        expect(new Set(found.words.values)).toEqual(new Set(list.filter((one) => holdsWord(folded, one))));
      }),
      { numRuns: 3000 },
    );
  });

  test("suffixes of one long string are linked without end", () => {
    const list = Array.from({ length: 1024 }, (_, index) => `${"a".repeat(index)}b`);
    expect(scanFor(["a".repeat(1024), ...list]).scan(`${"a".repeat(1024)}b`).literals.values.length).toBe(
      1025,
    );
  });

  test("100,000 words are searched for in one pass", () => {
    const list = Array.from({ length: 100_000 }, (_, index) => `word${index}`);
    const found = scanFor(list).scan(`${"nothing here ".repeat(10_000)} word77777 `);
    expect([...found.words.values]).toEqual(["word77777"]);
  });

  test("a text made of nothing but overlapping words finishes", () => {
    const list = Array.from({ length: 256 }, (_, index) => "a".repeat(index + 1));
    expect(scanFor(list).scan("a".repeat(100_000)).words.values.length).toBe(0);
  });
});

describe("FoldedCodes", () => {
  test("stretches taken one after the other are what foldText() gives, text after text", () => {
    const folded = new FoldedCodes();
    const text = fc.oneof(
      fc.string({ unit: "binary-ascii" }),
      fc.string({ unit: "binary" }),
      fc.string({ unit: fc.constantFrom("a", "B", " ", "\n", "\t") }),
      fc.string().map((one) => one.repeat(5000)),
    );
    fc.assert(
      fc.property(text, (one) => {
        folded.read(one);
        folded.begin(0);
        for (let at = 0; at < folded.size; at++) at = folded.take(at);
        const codes = Array.from({ length: folded.length }, (_, at) => folded.codes[at]!);
        const want = foldText(one);
        expect(codes).toEqual(Array.from({ length: want.length }, (_, at) => want.charCodeAt(at)));
      }),
      { numRuns: 500 },
    );
  });
});

const WORD_CHARACTER = /[\p{L}\p{N}\p{M}_]/u;

/** The model, on strings: true when text[start, end) begins and ends where a word may: not in the middle of letters or digits. */
function isWholeWord(text: string, start: number, end: number): boolean {
  return isBoundary(text, start) && isBoundary(text, end);
}

function isBoundary(text: string, at: number): boolean {
  return at <= 0 || at >= text.length || !(isWordBefore(text, at) && isWordAfter(text, at));
}

function isWordBefore(text: string, at: number): boolean {
  const code = text.charCodeAt(at - 1);
  if (code < 0x80) return isAsciiWord(code);
  const pair = /[\ud800-\udbff][\udc00-\udfff]$/.exec(text.slice(Math.max(0, at - 2), at));
  return WORD_CHARACTER.test(pair?.[0] ?? text.charAt(at - 1));
}

function isWordAfter(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  if (code < 0x80) return isAsciiWord(code);
  return WORD_CHARACTER.test(String.fromCodePoint(text.codePointAt(at) ?? 0));
}

function isAsciiWord(code: number): boolean {
  return (
    (code >= 97 && code <= 122) || (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95
  );
}

function holdsWord(text: string, word: string): boolean {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (isWholeWord(text, at, at + word.length)) return true;
  }
  return false;
}
