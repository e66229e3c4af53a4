import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  charsetName,
  charsetStream,
  decodeCharset,
  decodeOctets,
  encodeCharset,
  keepsAscii,
  toOctets,
} from "./charset.ts";

const latin1 = (octets: string) => Buffer.from(octets, "latin1");

describe("decodeCharset()", () => {
  test.each([
    { name: "UTF-8 is decoded", octets: "gr\xc3\xbcn", charset: "UTF-8", want: "grün" },
    { name: "iso-8859-1 is decoded", octets: "gr\xfcn", charset: "iso-8859-1", want: "grün" },
    { name: "koi8-r is decoded", octets: "\xf0\xd2\xc9", charset: "koi8-r", want: "При" },
    { name: "iso-2022-jp is decoded", octets: "\x1b$B$3\x1b(B", charset: "ISO-2022-JP", want: "こ" },
    { name: "cp1252 is windows-1252", octets: "\x80", charset: "cp1252", want: "€" },
    { name: "a language suffix is ignored", octets: "\xc3\xbc", charset: "utf-8*de", want: "ü" },
    { name: "us-ascii with UTF-8 octets is UTF-8", octets: "\xc3\xbc", charset: "us-ascii", want: "ü" },
    { name: "an unknown charset with latin1 octets is latin1", octets: "\xfc", charset: "x-none", want: "ü" },
    { name: "no charset is UTF-8 when valid", octets: "\xc3\xbc", charset: undefined, want: "ü" },
    { name: "a hostile name is no charset", octets: "a", charset: "x".repeat(5000), want: "a" },
  ])("$name", ({ octets, charset, want }) => {
    expect(decodeCharset(latin1(octets), charset)).toBe(want);
  });
});

describe("encodeCharset()", () => {
  test.each([
    { name: "ASCII fits every charset", text: "abc", charset: "big5", want: "abc" },
    { name: "ASCII does not fit UTF-16", text: "abc", charset: "utf-16", want: undefined },
    { name: "a missing charset is us-ascii", text: "ü", charset: undefined, want: undefined },
    { name: "iso-8859-1 holds an umlaut", text: "ü", charset: "ISO-8859-1", want: "\xfc" },
    { name: "iso-8859-1 holds no euro sign", text: "€", charset: "iso-8859-1", want: undefined },
    { name: "windows-1252 holds a euro sign", text: "€", charset: "windows-1252", want: "\x80" },
    { name: "koi8-r holds Russian", text: "При", charset: "koi8-r", want: "\xf0\xd2\xc9" },
    { name: "koi8-r holds no umlaut", text: "ü", charset: "koi8-r", want: undefined },
    { name: "UTF-8 holds everything", text: "ü€", charset: "utf-8", want: "\xc3\xbc\xe2\x82\xac" },
    { name: "an unknown charset holds only ASCII", text: "ü", charset: "x-none", want: undefined },
  ])("$name", ({ text, charset, want }) => {
    const octets = encodeCharset(text, charset);
    expect(octets && Buffer.from(octets).toString("latin1")).toBe(want);
  });
});

describe("charsetStream()", () => {
  test.each([
    {
      name: "a character split between pieces is whole",
      pieces: ["a\xc3", "\xbc"],
      label: "utf-8",
      want: "aü",
    },
    { name: "without a charset UTF-8 is read", pieces: ["\xc3", "\xbc"], label: undefined, want: "ü" },
    { name: "without a charset latin1 is read", pieces: ["\xfc."], label: undefined, want: "ü." },
    { name: "a cut character is latin1", pieces: ["a", "\xc3"], label: undefined, want: "a\u00c3" },
  ])("$name", ({ pieces, label, want }) => {
    const stream = charsetStream(label);
    expect(pieces.map((piece) => stream.decode(latin1(piece))).join("") + stream.end()).toBe(want);
  });
});

test("without a charset, pieces of any size give the same text", () => {
  const octet = fc.constantFrom(0x41, 0xc3, 0xbc, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0xff);
  fc.assert(
    fc.property(fc.array(octet), fc.integer({ min: 1, max: 3 }), (numbers, size) => {
      const read = (step: number) => {
        const stream = charsetStream(undefined);
        let text = "";
        for (let at = 0; at < numbers.length; at += step) {
          text += stream.decode(Uint8Array.from(numbers.slice(at, at + step)));
        }
        return text + stream.end();
      };
      expect(read(size)).toBe(read(1000));
    }),
    { numRuns: 2000 },
  );
});

test("octets and text convert into each other", () => {
  expect(toOctets("ü")).toBe("\xc3\xbc");
  expect(decodeOctets("\xc3\xbc")).toBe("ü");
  expect(decodeOctets("\xfc")).toBe("ü");
  expect(charsetName("latin1")).toBe("windows-1252");
});

test("a charset of two octets a character, by any of its names, takes no ASCII as it is", () => {
  for (const label of ["utf-16", "unicode", "csunicode", "iso-10646-ucs-2", "csiso2022jp"]) {
    expect(keepsAscii(label)).toBe(false);
    expect(encodeCharset("a", label)).toBeUndefined();
  }
  for (const label of [undefined, "us-ascii", "latin1", "shift_jis", "unheard-of"]) {
    expect(keepsAscii(label)).toBe(true);
  }
});
