import { describe, expect, test } from "vitest";
import { parseHeader } from "./header.ts";
import { contentFields, parseParameters } from "./mime-fields.ts";

const fields = (...lines: string[]) =>
  contentFields(parseHeader(lines.map((line) => `${line}\r\n`).join("")));

describe("contentFields()", () => {
  test.each([
    { name: "nothing declared is no type", lines: [], want: undefined },
    { name: "a type goes to lower case", lines: ["Content-Type: Text/HTML; charset=x"], want: "text/html" },
    {
      name: "comments are no part of it",
      lines: ["Content-Type: (c) text/html (d); charset=x"],
      want: "text/html",
    },
    { name: "white space before the colon", lines: ["Content-Type : text/html"], want: "text/html" },
    { name: "a type without subtype is none", lines: ["Content-Type: text"], want: undefined },
    { name: "two types: the first", lines: ["Content-Type: a/b", "Content-Type: c/d"], want: "a/b" },
    {
      name: "two types: a multipart wins",
      lines: ["Content-Type: a/b", "content-type: multipart/x"],
      want: "multipart/x",
    },
  ])("$name", ({ lines, want }) => {
    expect(fields(...lines).type).toBe(want);
  });

  test.each([
    { name: "filename", line: 'Content-Disposition: attachment; filename="a b.exe"', want: ["a b.exe"] },
    { name: "name", line: "Content-Type: a/b; name=a.exe", want: ["a.exe"] },
    {
      name: "unquoted with spaces",
      line: "Content-Disposition: attachment; filename=my file.exe ; x=y",
      want: ["my file.exe"],
    },
    {
      name: "RFC 2231 charset",
      line: "Content-Disposition: attachment; filename*=iso-8859-1'de'gr%FCn.exe",
      want: ["grün.exe"],
    },
    {
      name: "RFC 2231 pieces in any order",
      line: "Content-Disposition: attachment; filename*1=\".e\"; filename*2*=%78e; filename*0*=utf-8''%C3%BC",
      want: ["ü.exe"],
    },
    {
      name: "both forms are told",
      line: "Content-Disposition: a; filename=a.txt; filename*=''b.exe",
      want: ["b.exe", "a.txt"],
    },
    {
      name: "two names are told",
      line: "Content-Disposition: a; filename=a.txt; filename=b.exe",
      want: ["a.txt", "b.exe"],
    },
    { name: "encoded words", line: 'Content-Type: a/b; name="=?utf-8?b?w7w=?=.exe"', want: ["ü.exe"] },
    { name: "raw UTF-8", line: 'Content-Type: a/b; name="\xc3\xbc.exe"', want: ["ü.exe"] },
    { name: "a Windows path", line: 'Content-Type: a/b; name="C:\\temp\\a.exe"', want: ["C:\\temp\\a.exe"] },
    { name: "a semicolon in quotes", line: 'Content-Type: a/b; name="a;b.exe"', want: ["a;b.exe"] },
    { name: "an unfinished quote", line: 'Content-Type: a/b; name="a.exe', want: ["a.exe"] },
    { name: "an unfinished comment hides nothing", line: "Content-Type: a/b (; name=a.exe", want: ["a.exe"] },
    { name: "a comment after the name", line: "Content-Type: a/b; name=a.exe (c)", want: ["a.exe"] },
    { name: "white space around =", line: "Content-Type: a/b; name = a.exe", want: ["a.exe"] },
  ])("file names: $name", ({ line, want }) => {
    expect(fields(line).fileNames).toEqual(want);
  });

  test.each([
    {
      name: "every boundary of a multipart counts",
      value: 'multipart/mixed; boundary="a b "; boundary=c',
      want: ["a b", "c"],
    },
    { name: "a long boundary is none", value: `multipart/mixed; boundary=${"x".repeat(501)}`, want: [] },
    { name: "an empty boundary is none", value: 'multipart/mixed; boundary=""', want: [] },
    { name: "text has no boundary", value: "text/plain; boundary=a", want: [] },
  ])("$name", ({ value, want }) => {
    expect(fields(`Content-Type: ${value}`).boundaries).toEqual(want);
  });

  test("the encoding is a bare word", () => {
    expect(fields('Content-Transfer-Encoding: (c) "BASE64" ').encoding).toBe("base64");
    expect(fields().encoding).toBe("7bit");
  });
});

test.each([";", '"', "(", "()", "(;", ";a*0=b", ";a*99999=b", "\\", '"\\', " ", "=", "(;)", '("'])(
  "parseParameters(): a megabyte of %j is linear",
  (piece) => {
    const start = performance.now();
    parseParameters(`a/b; x=${piece.repeat(1_000_000 / piece.length)}`);
    parseParameters(`${piece.repeat(1_000_000 / piece.length)})`);
    expect(performance.now() - start).toBeLessThan(10_000);
  },
);
