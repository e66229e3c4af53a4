import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { foldText } from "./fold.ts";
import { FoldedCodes } from "./folded-codes.ts";
import { WordStarts } from "./word-starts.ts";

/** All places that a scan would look at. */
function placesFor(strings: readonly string[], text: string): number[] {
  const starts = new WordStarts();
  for (const one of strings) starts.add(one);
  const folded = new FoldedCodes();
  folded.read(text);
  const next = (from: number) => starts.next(folded.octets, from, folded.size);
  const places: number[] = [];
  for (let at = next(0); at < folded.size; at = next(at + 1)) places.push(at);
  return places;
}

describe("WordStarts", () => {
  test.each([
    { name: "no string", strings: [], text: "anything", want: [] },
    { name: "an empty text", strings: ["secret"], text: "", want: [] },
    { name: "a string in the middle", strings: ["secret"], text: "a top SECRET file", want: [6] },
    { name: "a string that is the text", strings: ["secret"], text: "secret", want: [0] },
    { name: "a text that ends too early", strings: ["secret"], text: "secre", want: [] },
    { name: "its first characters without the fourth", strings: ["secret"], text: "to second it", want: [] },
    { name: "three characters at the end", strings: ["tax", "secret"], text: "a tax", want: [2] },
    { name: "two characters at the end", strings: ["no", "secret"], text: "oh no", want: [3] },
    {
      name: "two characters at the end of a text that fills the room for texts",
      strings: ["no", "secret"],
      text: `${"x".repeat(8190)}no`,
      want: [8190],
    },
    {
      name: "white space within, which may be a run of it",
      strings: ["a b c d"],
      text: "xa \r\n b \r\n c d",
      want: [1],
    },
    { name: "white space of any kind", strings: ["a b c d"], text: "a\vb\fc\t\rd", want: [0] },
    { name: "any of the white space before", strings: [" secret"], text: "a\r\nsecret", want: [1, 2] },
    {
      name: "the ends of lines",
      strings: ["secret", "wire transfer"],
      text: "line\r\n".repeat(99),
      want: [],
    },
  ])("$name", ({ strings, text, want }) => {
    expect(placesFor(strings, text)).toEqual(want);
  });

  test("no place is passed at which a string begins", () => {
    const narrow = fc.constantFrom("a", "B", "c", " ", "\n", "\r\n", "\t", "\v", "\f", "\0", "-");
    const wide = fc.constantFrom("é", "ß", "\u00a0", "\u010a", "\u4e20", "\u0161", "İ", "\u212a", "ς", "😀");
    const kinds = fc.record({
      unit: fc.constantFrom(narrow, fc.oneof(narrow, wide)),
      minLength: fc.nat({ max: 8 }),
    });
    const cases = kinds.chain(({ unit, minLength }) =>
      fc.record({
        strings: fc.array(fc.string({ unit, minLength, maxLength: minLength + 3 }).map(foldText), {
          maxLength: 6,
        }),
        around: fc.array(fc.string({ unit, maxLength: 9 }), { maxLength: 7 }),
      }),
    );
    fc.assert(
      fc.property(cases, ({ strings, around }) => {
        const wanted = strings.filter((one) => one !== "");
        const text = around.map((part, n) => part + (wanted[n] ?? "").replaceAll(" ", " \r\n ")).join("");
        const places = new Set(placesFor(wanted, text));
        for (const at of placesOf(wanted, text)) expect(places).toContain(at);
      }),
      { numRuns: 5000 },
    );
  });
});

/** The model: a string begins where the rest of the text, folded, begins with it; of a run of white space, at the last. */
function placesOf(strings: readonly string[], text: string): number[] {
  const isAscii = !/[^\x00-\x7f]/.test(text);
  const read = isAscii ? text : foldText(text);
  const restAt = (at: number) => (isAscii ? foldText(read.slice(at)) : read.slice(at));
  const begins = (at: number) => strings.some((one) => restAt(at).startsWith(one));
  const isInRun = (at: number) => /^\s\s/.test(read.slice(at));
  return Array.from({ length: read.length }, (_, at) => at).filter((at) => !isInRun(at) && begins(at));
}
