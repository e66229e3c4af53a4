import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeHeaderText, encodeHeaderText } from "./encoded-word.ts";

describe("decodeHeaderText()", () => {
  test.each([
    { name: "plain text stays", value: "Hello there", want: "Hello there" },
    { name: "Q decodes _ and =XX", value: "=?iso-8859-1?Q?a_=FC?=", want: "a ü" },
    { name: "B decodes", value: "=?UTF-8?B?w7w=?=", want: "ü" },
    { name: "white space between words goes", value: "=?utf-8?q?a?=  =?utf-8?q?b?=", want: "ab" },
    { name: "words of two charsets join", value: "=?utf-8?q?a?= =?koi8-r?q?=F0?=", want: "aП" },
    { name: "a character split between words is whole", value: "=?utf-8?q?=C3?= =?utf-8?q?=BC?=", want: "ü" },
    { name: "white space before plain text stays", value: "=?utf-8?q?a?= b", want: "a b" },
    { name: "plain text around words stays", value: "x =?utf-8?q?a?= y", want: "x a y" },
    { name: "a language tag is ignored", value: "=?utf-8*en?q?a?=", want: "a" },
    { name: "an unknown charset is still readable", value: "=?x-foo?q?ab=FC?=", want: "abü" },
    { name: "an unfinished word stays", value: "=?utf-8?q?abc", want: "=?utf-8?q?abc" },
    { name: "an unknown encoding stays", value: "=?utf-8?x?abc?=", want: "=?utf-8?x?abc?=" },
    { name: "broken base64 gives what it holds", value: "=?utf-8?b?YW!Jj?=", want: "abc" },
    { name: "raw UTF-8 is read (RFC 6532)", value: "gr\xc3\xbcn", want: "grün" },
    { name: "raw latin1 is read", value: "gr\xfcn", want: "grün" },
    { name: "U+00A0 octets are no white space", value: "\xc3\xa0 =?utf-8?q?b?=", want: "à b" },
  ])("$name", ({ value, want }) => {
    expect(decodeHeaderText(value)).toBe(want);
  });

  test.each([
    { name: "openers", value: "=?".repeat(500_000) },
    { name: "openers with charset", value: "=?a?q?".repeat(200_000) },
    { name: "one endless word", value: `=?a?q?${"x".repeat(1_000_000)}` },
    { name: "many words", value: "=?utf-8?b?YQ==?= ".repeat(60_000) },
    { name: "white space", value: `=?utf-8?q?a?=${" ".repeat(1_000_000)}=?` },
  ])("a megabyte of $name is linear", ({ value }) => {
    const start = performance.now();
    decodeHeaderText(value);
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

describe("encodeHeaderText()", () => {
  test.each([
    { name: "ASCII stays", text: "Hello [there]", want: "Hello [there]" },
    { name: "mostly ASCII is Q", text: "grün ist gut", want: "=?utf-8?q?gr=C3=BCn_ist_gut?=" },
    { name: "mostly not ASCII is B", text: "Привет", want: "=?utf-8?b?0J/RgNC40LLQtdGC?=" },
    { name: "line breaks become spaces", text: "a\r\nBcc: b", want: "a Bcc: b" },
    {
      name: "text that looks encoded is encoded",
      text: "=?utf-8?q?a?=",
      want: "=?utf-8?b?PT91dGYtOD9xP2E/PQ==?=",
    },
  ])("$name", ({ text, want }) => {
    expect(encodeHeaderText(text)).toBe(want);
  });

  test("any text comes back, in ASCII words of at most 75 characters", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), (text) => {
        const value = encodeHeaderText(text);
        expect(value).toMatch(/^[\t\x20-\x7e]*$/);
        expect(decodeHeaderText(value)).toBe(text.replace(/[\r\n\0]+/g, " "));
        if (value !== text) {
          for (const word of value.split(" ")) expect(word.length).toBeLessThanOrEqual(75);
        }
      }),
    );
  });

  test("a lone surrogate is replaced, never thrown on", () => {
    expect(decodeHeaderText(encodeHeaderText("a\ud800"))).toBe("a\ufffd");
  });
});
