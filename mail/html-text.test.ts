import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HtmlText } from "./html-text.ts";

function textOf(html: string, size = html.length || 1): string {
  const reader = new HtmlText();
  let text = "";
  for (let at = 0; at < html.length; at += size) text += reader.write(html.slice(at, at + size));
  return text + reader.end();
}

describe("HtmlText", () => {
  test.each([
    { name: "inline tags join", html: "vi<b>ru</b>s", want: "virus" },
    { name: "blocks divide", html: "<p>one</p><div>two<br/>three</div>", want: "one\ntwo\nthree\n" },
    { name: "white space runs are one space", html: "a \r\n\t b", want: "a b" },
    { name: "white space around a block is its line break", html: "a <br> b", want: "a\nb" },
    { name: "entities", html: "a&amp;b&nbsp;c&#65;&#x42;&uuml;&lt;i&gt;", want: "a&b cABü<i>" },
    { name: "invisible characters vanish", html: "vi&shy;ru&#8203;s", want: "virus" },
    { name: "an unknown entity stays", html: "&nosuch; &", want: "&nosuch; &" },
    { name: "an impossible character is replaced", html: "&#0;&#9999999;", want: "\ufffd\ufffd" },
    { name: "comments vanish", html: "a<!-- x > y -->b<!-->c<!--->d<!-- -- --!>e", want: "abcde" },
    {
      name: "scripts and styles vanish",
      html: "a<script>if(a<b)</script>b<STYLE>p{}</style >c",
      want: "abc",
    },
    { name: "a > in a value is no end", html: "<a title=\"x>y\" href='>'>z</a>", want: "z" },
    { name: "a quote outside of a value hides nothing", html: "<p '>seen</p>", want: "seen\n" },
    { name: "a quote inside an unquoted value hides nothing", html: "<p a=don't>seen</p>", want: "seen\n" },
    { name: "a < that begins no tag is text", html: "1 < 2 <3", want: "1 < 2 <3" },
    { name: "an unfinished tag vanishes", html: "a<b", want: "a" },
    { name: "processing instructions vanish", html: "<?xml a?><!DOCTYPE html>a", want: "a" },
  ])("$name", ({ html, want }) => {
    expect(textOf(html)).toBe(want);
    expect(textOf(html, 1)).toBe(want);
  });

  test("pieces of any size give the same text", () => {
    const unit = fc.constantFrom(
      "<",
      ">",
      "!",
      "-",
      "--",
      "&",
      "amp;",
      "#65",
      "a",
      " ",
      "\n",
      '"',
      "=",
      "/",
      "script",
      "p",
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 60 }), fc.integer({ min: 1, max: 5 }), (html, size) => {
        expect(textOf(html, size)).toBe(textOf(html));
      }),
      { numRuns: 1000 },
    );
  });

  test.each(["<", "<!--", "<script>", "<style></style>", "&", '<a b="', "&#", " ", "\n", "<p>", "-->"])(
    "a megabyte of %j is linear",
    (piece) => {
      const start = performance.now();
      textOf(piece.repeat(1_000_000 / piece.length), 65_536);
      expect(performance.now() - start).toBeLessThan(10_000);
    },
  );
});
