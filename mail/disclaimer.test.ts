import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeCharset } from "./charset.ts";
import { applyDisclaimer, type Disclaimer } from "./disclaimer.ts";
import { formatHeader, parseHeader } from "./header.ts";
import { scanMime } from "./mime.ts";

const edit: Disclaimer = { text: "Company text", html: "<p>Company text</p>", location: "Append" };

function message(text: string) {
  const wire = text.replaceAll("\n", "\r\n");
  const end = wire.startsWith("\r\n") ? 0 : wire.indexOf("\r\n\r\n") + 2;
  return { header: parseHeader(wire.slice(0, end)), body: Buffer.from(wire.slice(end + 2), "latin1") };
}

function edited(text: string, use: Partial<Disclaimer> = {}): string {
  const { header, body } = message(text);
  const result = applyDisclaimer(header, body, { ...edit, ...use });
  if (result.kind === "unchangeable") return result.reason;
  if (result.kind === "unchanged") {
    expect(Buffer.from(result.body)).toEqual(body);
    return "unchanged";
  }
  return `${formatHeader(result.header)}\r\n${Buffer.from(result.body).toString("latin1")}`.replaceAll(
    "\r\n",
    "\n",
  );
}

describe("applyDisclaimer()", () => {
  test.each([
    {
      name: "plain text without MIME",
      text: "A: b\n\nhello\n",
      want: "A: b\nMIME-Version: 1.0\n\nhello\n\nCompany text\n",
    },
    {
      name: "a last line without end",
      text: "MIME-Version: 1.0\n\nhello",
      want: "MIME-Version: 1.0\n\nhello\n\nCompany text\n",
    },
    { name: "an empty body", text: "MIME-Version: 1.0\n\n", want: "MIME-Version: 1.0\n\n\nCompany text\n" },
    {
      name: "prepended",
      text: "MIME-Version: 1.0\n\nhello\n",
      use: { location: "Prepend" },
      want: "MIME-Version: 1.0\n\nCompany text\n\nhello\n",
    },
    {
      name: "quoted-printable stays",
      text: "MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\ngr=FCn\n",
      use: { text: "Grüße" },
      want: "MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\ngr=FCn\n\nGr=FC=DFe\n",
    },
    {
      name: "base64 stays",
      text: "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\naGVsbG8K\n",
      want: `MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n${Buffer.from("hello\n\r\n\r\nCompany text\r\n").toString("base64")}\n`,
    },
    {
      name: "a charset that lacks a character becomes UTF-8, other parameters stay",
      text: 'MIME-Version: 1.0\nContent-Type: text/plain; charset="iso-8859-1"; format=flowed\nContent-Transfer-Encoding: 8bit\n\ngr\xfcn\n',
      use: { text: "5 €" },
      want: "MIME-Version: 1.0\nContent-Type: text/plain; format=flowed; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\ngr\xc3\xbcn\n\n5 \xe2\x82\xac\n",
    },
    {
      name: "7bit text with other characters becomes quoted-printable",
      text: "MIME-Version: 1.0\n\nhello\n",
      use: { text: "ü" },
      want: "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nhello\n\n=C3=BC\n",
    },
    {
      name: "HTML: before the end of the body",
      text: "MIME-Version: 1.0\nContent-Type: text/html\n\n<HTML><BODY a=b>hi</BODY></HTML>\n",
      want: "MIME-Version: 1.0\nContent-Type: text/html\n\n<HTML><BODY a=b>hi<p>Company text</p></BODY></HTML>\n",
    },
    {
      name: "HTML: after the start of the body",
      text: "MIME-Version: 1.0\nContent-Type: text/html\n\n<HTML><BODY a=b>hi</BODY></HTML>\n",
      use: { location: "Prepend" },
      want: "MIME-Version: 1.0\nContent-Type: text/html\n\n<HTML><BODY a=b><p>Company text</p>hi</BODY></HTML>\n",
    },
    {
      name: "HTML without body",
      text: "MIME-Version: 1.0\nContent-Type: text/html\n\n<b>hi</b>",
      want: "MIME-Version: 1.0\nContent-Type: text/html\n\n<b>hi</b><p>Company text</p>",
    },
    {
      name: "HTML keeps its charset by character references",
      text: "MIME-Version: 1.0\nContent-Type: text/html; charset=koi8-r\nContent-Transfer-Encoding: 8bit\n\n\xf0\n",
      use: { html: "ü😀" },
      want: "MIME-Version: 1.0\nContent-Type: text/html; charset=koi8-r\nContent-Transfer-Encoding: 8bit\n\n\xf0\n&#252;&#128512;",
    },
    {
      name: "flowed text is stuffed",
      text: "MIME-Version: 1.0\nContent-Type: text/plain; format=flowed\n\nhi\n",
      use: { text: "From us  \n> you\nall" },
      want: "MIME-Version: 1.0\nContent-Type: text/plain; format=flowed\n\nhi\n\n From us\n > you\nall\n",
    },
    {
      name: "plain text is made of HTML when there is none",
      text: "MIME-Version: 1.0\n\nhi\n",
      use: { text: "", html: "<p>a &amp; b</p>" },
      want: "MIME-Version: 1.0\n\nhi\n\na & b\n",
    },
    {
      name: "HTML is made of text when there is none",
      text: "MIME-Version: 1.0\nContent-Type: text/html\n\nhi",
      use: { html: "", text: "a < b\nc" },
      want: "MIME-Version: 1.0\nContent-Type: text/html\n\nhia &lt; b<br>\nc",
    },
    {
      name: "what is there already is not added",
      text: "A: b\n\nhello\n> Company\n> text\n",
      want: "unchanged",
    },
    {
      name: "HTML that holds it is not changed",
      text: "Content-Type: text/html\n\nx<div>Company <b>text</b></div>",
      want: "unchanged",
    },
    {
      name: "signed mail",
      text: "Content-Type: multipart/signed; boundary=b\n\n--b\n\nhi\n--b--\n",
      want: "the message is signed or encrypted",
    },
    {
      name: "S/MIME",
      text: "Content-Type: application/pkcs7-mime\n\nx",
      want: "the message is signed or encrypted",
    },
    {
      name: "signed mail in a list's wrapper",
      text: "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/signed; boundary=b\n\n--b\n\nhi\n--b--\n--a\n\nfooter\n--a--\n",
      want: "the message is signed or encrypted",
    },
    {
      name: "an attachment only",
      text: "Content-Type: application/pdf\n\nx",
      want: "the message has no text part",
    },
    {
      name: "an unknown transfer encoding",
      text: "Content-Transfer-Encoding: x-uue\n\nx",
      want: "the transfer encoding is unknown",
    },
  ] as { name: string; text: string; use?: Partial<Disclaimer>; want: string }[])(
    "$name",
    ({ text, use, want }) => {
      expect(edited(text, use)).toBe(want);
    },
  );

  test("both parts of an alternative inside a mixed are changed, all else stays octet for octet", () => {
    const before =
      "Content-Type: multipart/mixed; boundary=a\n\npreamble\n--a\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nhi\n--b\nX: y\nContent-Type: text/html\n\n<p>hi</p>\n--b--\nbetween\n--a\nContent-Type: text/plain; name=x.txt\n\nfile\n--a\n\nsecond text\n--a--\nepilogue\n";
    expect(edited(before)).toBe(
      before
        .replace("\n\nhi\n--b", "\n\nhi\n\nCompany text\n\n--b")
        .replace("<p>hi</p>", "<p>hi</p><p>Company text</p>"),
    );
  });

  test("applied twice is applied once", () => {
    const once = edited(
      "Content-Type: multipart/alternative; boundary=b\n\n--b\n\nhi\n--b\nContent-Type: text/html\n\n<p>hi</p>\n--b--\n",
    );
    expect(edited(once)).toBe("unchanged");
  });

  test("no message gets another part, whatever it holds", async () => {
    const limits = { maxParts: 1000, maxDepth: 50, maxText: 1e6 };
    const line = fc.constantFrom(
      "--b",
      "--b--",
      "<body>--b",
      "</body>--b",
      "x".repeat(1200),
      "é",
      "",
      "text",
      "=",
      "Content-Type: text/html",
      "Content-Transfer-Encoding: quoted-printable",
      "Content-Type: multipart/alternative; boundary=b",
    );
    const texts = fc.constantFrom("Company text", "ü€", "--b", "x".repeat(1500));
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 20 }),
        texts,
        fc.boolean(),
        async (lines, text, prepend) => {
          const { header, body } = message(
            `Content-Type: multipart/alternative; boundary=b\n\n--b\n${lines.join("\n")}`,
          );
          const location = prepend ? "Prepend" : "Append";
          const result = applyDisclaimer(header, body, { text, html: text, location });
          if (result.kind !== "changed") return;
          const before = await scanMime(header, [body], limits);
          const after = await scanMime(result.header, [result.body], limits);
          expect(after.parts.map(({ path }) => path)).toEqual(before.parts.map(({ path }) => path));
        },
      ),
      { numRuns: 500 },
    );
  });
});

const LABELS = [
  ...["us-ascii", "utf-8", "iso-8859-1", "koi8-r", "shift_jis", "big5", "gb18030", "euc-jp"],
  ...["utf-16le", "utf-16be", "unicode", "iso-2022-jp", "utf-7", "no-such-charset"],
];

test.each(LABELS)("in %s a text that is there is known again, and one that is not is added", (label) => {
  const lead = fc.constantFrom("", "\x00", "\x81", "\xc3", "\xe0", "\x1b$B", "+", " ", "Comp");
  const words = fc.constantFrom(
    "Company text",
    "C\x00o\x00m\x00p\x00a\x00n\x00y\x00 \x00t\x00e\x00x\x00t\x00",
    "Company",
  );
  fc.assert(
    fc.property(lead, words, lead, (before, text, after) => {
      const body = Buffer.from(`${before}${text}${after}`, "latin1");
      const header = parseHeader(
        `Content-Type: text/plain; charset=${label}\r\nContent-Transfer-Encoding: binary\r\n`,
      );
      const isThere = decodeCharset(body, label).includes("Company text");
      expect(applyDisclaimer(header, body, edit).kind).toBe(isThere ? "unchanged" : "changed");
    }),
  );
});
