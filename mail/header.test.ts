import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addFirst,
  addLast,
  fieldValue,
  formatHeader,
  headerValues,
  makeField,
  parseHeader,
  removeFields,
  setField,
} from "./header.ts";

describe("parseHeader()", () => {
  test.each([
    { name: "fields in order", block: "A: 1\r\nB: 2\r\n", want: ["A", "B"] },
    { name: "folded lines belong to their field", block: "A: 1\r\n 2\r\n\t3\r\nB: 4\r\n", want: ["A", "B"] },
    { name: "a line without colon is kept without a name", block: "A: 1\r\njunk\r\n", want: ["A", ""] },
    { name: "white space before the colon is no part of the name", block: "A : 1\r\n", want: ["A"] },
    { name: "a folded first line has no name", block: " A: 1\r\n", want: [""] },
    { name: "a last line without CRLF gets one", block: "A: 1", want: ["A"] },
    { name: "so does a folded one", block: "A: 1\r\n 2", want: ["A"] },
    { name: "nothing", block: "", want: [] },
  ])("$name", ({ block, want }) => {
    const header = parseHeader(block);
    expect(header.map((field) => field.name)).toEqual(want);
    expect(formatHeader(header)).toBe(block === "" || block.endsWith("\r\n") ? block : `${block}\r\n`);
  });

  test("any lines come back octet for octet", () => {
    const octet = fc.constantFrom("a", ":", " ", "\t", "\r", "\n", "\r\n", "\xff");
    fc.assert(
      fc.property(fc.string({ unit: octet }), (text) => {
        const block = `${text}\r\n`;
        expect(formatHeader(parseHeader(block))).toBe(block);
      }),
    );
  });

  test.each([
    { name: "folded lines", line: " x\r\n" },
    { name: "fields", line: "a:b\r\n" },
    { name: "CR", line: "\r" },
    { name: "spaces", line: " " },
    { name: "colons", line: ":" },
  ])("a megabyte of $name is linear", ({ line }) => {
    const start = performance.now();
    const header = parseHeader(`A: b\r\n${line.repeat(1_000_000 / line.length)}\r\n`);
    headerValues(header, "a");
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

describe("fieldValue()", () => {
  test.each([
    { name: "is unfolded and trimmed", raw: "A:  one\r\n two \r\n", want: "one two" },
    { name: "keeps colons", raw: "A: b:c\r\n", want: "b:c" },
    { name: "keeps octets that look like white space", raw: "A: \xc3\xa0\r\n", want: "\xc3\xa0" },
    { name: "may be empty", raw: "A:\r\n", want: "" },
  ])("$name", ({ raw, want }) => {
    expect(fieldValue({ name: "A", raw })).toBe(want);
  });
});

describe("makeField()", () => {
  test.each([
    { name: "a short value is one line", value: "hello", want: "A: hello\r\n" },
    { name: "line breaks become spaces", value: "a\r\nBcc: b\0c", want: "A: a Bcc: b c\r\n" },
    { name: "an empty value has no space", value: "", want: "A:\r\n" },
    { name: "characters beyond latin1 become UTF-8 octets", value: "\u010aB", want: "A: \xc4\x8aB\r\n" },
    { name: "latin1 octets stay", value: "\xc3\xa0", want: "A: \xc3\xa0\r\n" },
    {
      name: "a long value folds at white space",
      value: `${"a".repeat(70)} bbbbbb`,
      want: `A: ${"a".repeat(70)}\r\n bbbbbb\r\n`,
    },
  ])("$name", ({ value, want }) => {
    expect(makeField("A", value).raw).toBe(want);
  });

  test("a name that is no field name is refused", () => {
    expect(() => makeField("A:\r\nB", "c")).toThrow(TypeError);
  });

  test("every value is one field of lines that are not blank, and comes back", () => {
    const unit = fc.constantFrom("a", "bcd", " ", "\t", "\r\n", ":", "x".repeat(90), " ".repeat(200));
    fc.assert(
      fc.property(fc.string({ unit }), (value) => {
        const field = makeField("Name", value);
        expect(parseHeader(field.raw)).toEqual([field]);
        for (const line of field.raw.split("\r\n").slice(0, -1)) {
          expect(line.length).toBeLessThanOrEqual(998);
          expect(line).toMatch(/[^ \t]/);
        }
        const plain = (text: string) => text.replace(/[ \t\r\n]+/g, "");
        expect(plain(fieldValue(field))).toBe(plain(value));
      }),
    );
  });

  test.each([" ", "a", "a ", "\t \r\n"])("a megabyte of %j is linear", (piece) => {
    const start = performance.now();
    makeField("A", `a${piece.repeat(1_000_000 / piece.length)}a`);
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

test("fields are added, removed and replaced without case, in place", () => {
  const header = parseHeader("A: 1\r\nb: 2\r\nB: 3\r\n");
  const field = makeField("B", "new");
  const text = (fields: typeof header) => formatHeader(fields).replaceAll("\r\n", "|");
  expect(text(addFirst(header, field))).toBe("B: new|A: 1|b: 2|B: 3|");
  expect(text(addLast(header, field))).toBe("A: 1|b: 2|B: 3|B: new|");
  expect(text(removeFields(header, "B"))).toBe("A: 1|");
  expect(text(setField(header, field))).toBe("A: 1|B: new|");
  expect(text(setField(header, makeField("C", "4")))).toBe("A: 1|b: 2|B: 3|C: 4|");
  expect(headerValues(header, "B")).toEqual(["2", "3"]);
});
