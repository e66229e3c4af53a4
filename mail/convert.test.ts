import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAddress } from "./address.ts";
import { downgradeUtf8, has8Bit, hasBinary, needsSmtpUtf8, to7Bit } from "./convert.ts";
import { decodeHeaderText } from "./encoded-word.ts";
import { formatHeader, headerValues, parseHeader } from "./header.ts";
import { asciiField } from "./header-downgrade.ts";
import { scanMime } from "./mime.ts";

const limits = { maxParts: 1000, maxDepth: 30, maxText: 1e6 };

function message(text: string) {
  const wire = text.replaceAll("\n", "\r\n");
  const end = wire.startsWith("\r\n") ? 0 : wire.indexOf("\r\n\r\n") + 2;
  return { header: parseHeader(wire.slice(0, end)), body: Buffer.from(wire.slice(end + 2), "latin1") };
}

function converted(text: string): string {
  const { header, body } = message(text);
  const result = to7Bit(header, body);
  if (result.kind === "impossible") return result.reason;
  return `${formatHeader(result.header)}\r\n${Buffer.from(result.body).toString("latin1")}`.replaceAll(
    "\r\n",
    "\n",
  );
}

const mixed = (...parts: string[]) =>
  `Content-Type: multipart/mixed; boundary=b\n\n${parts.map((part) => `--b\n${part}\n`).join("")}--b--\n`;

describe("to7Bit()", () => {
  test.each([
    { name: "7-bit messages stay", text: "A: b\n\nhello\n", want: "A: b\n\nhello\n" },
    {
      name: "mostly ASCII text becomes quoted-printable",
      text: "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\ngr\xc3\xbcn = nice\n",
      want: "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\ngr=C3=BCn =3D nice\n",
    },
    {
      name: "other text becomes base64",
      text: "MIME-Version: 1.0\nContent-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: 8bit\n\n\xf0\xd2\xc9\n",
      want: "MIME-Version: 1.0\nContent-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: base64\n\n8NLJDQo=\n",
    },
    {
      name: "raw 8-bit without MIME is declared",
      text: "A: b\n\nhello \xfc\n",
      want: "A: b\nContent-Transfer-Encoding: quoted-printable\nMIME-Version: 1.0\n\nhello =FC\n",
    },
    {
      name: "parts are converted one by one, containers become 7bit",
      text: `Content-Transfer-Encoding: 8bit\n${mixed("Content-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\nhello \xfc", "X: y\n\nplain", "Content-Type: image/png\nContent-Transfer-Encoding: binary\n\n\x89\0\x01")}`,
      want: mixed(
        "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nhello =FC",
        "X: y\n\nplain",
        "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\niQAB\n",
      ),
    },
    {
      name: "attached messages are converted inside",
      text: mixed(
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: gr\xc3\xbcn\n\nhello \xfc",
      ),
      want: mixed(
        "Content-Type: message/rfc822\n\nSubject: =?utf-8?b?Z3LDvG4=?=\nContent-Transfer-Encoding: quoted-printable\n\nhello =FC",
      ),
    },
    {
      name: "an attached message/global is encoded as a whole",
      text: mixed("Content-Type: message/global\n\nTo: \xc3\xbc@x.example\n\nhi"),
      want: mixed(
        `Content-Type: message/global\nContent-Transfer-Encoding: base64\n\n${Buffer.from("To: ü@x.example\r\n\r\nhi").toString("base64")}\n`,
      ),
    },
    {
      name: "a file name in UTF-8 becomes RFC 2231",
      text: mixed('Content-Disposition: attachment; filename="gr\xc3\xbcn a.txt"; x=y\n\nhi'),
      want: mixed("Content-Disposition: attachment; filename*=utf-8''gr%C3%BCn%20a.txt; x=y\n\nhi"),
    },
    {
      name: "the preamble becomes ASCII",
      text: mixed("\nhi").replace("\n\n--b", "\n\n\xfc\n--b"),
      want: mixed("\nhi").replace("\n\n--b", "\n\n?\n--b"),
    },
    {
      name: "garbage in base64 goes",
      text: "MIME-Version: 1.0\nContent-Type: a/b\nContent-Transfer-Encoding: base64\n\naGV\xfcsbG8=\n",
      want: "MIME-Version: 1.0\nContent-Type: a/b\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n",
    },
    {
      name: "lines that are too long are encoded",
      text: `MIME-Version: 1.0\n\n${"x".repeat(999)}`,
      want: `MIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\n${`${"x".repeat(75)}=\n`.repeat(13)}${"x".repeat(24)}`,
    },
    {
      name: "signed parts are impossible",
      text: mixed("\n\xfc").replace("mixed", "signed"),
      want: "the message is signed",
    },
    {
      name: "a signed 7-bit part beside 8-bit ones is possible",
      text: mixed("Content-Type: multipart/signed; boundary=c\n\n--c\n\nhi\n--c--", "\nabc \xfc").replaceAll(
        "x",
        "x",
      ),
      want: mixed(
        "Content-Type: multipart/signed; boundary=c\n\n--c\n\nhi\n--c--",
        "Content-Transfer-Encoding: quoted-printable\n\nabc =FC",
      ),
    },
    {
      name: "an unknown encoding is impossible",
      text: "Content-Transfer-Encoding: x-y\n\n\xfc",
      want: "a part's transfer encoding is unknown",
    },
    {
      name: "an 8-bit boundary is impossible",
      text: "Content-Type: multipart/mixed; boundary=\xfc\n\n--\xfc\n\nx\n--\xfc--\n",
      want: "the octets between the parts cannot be converted",
    },
    {
      name: "a structured field of a part is impossible",
      text: mixed("Content-ID: <\xfc@x>\n\nhi"),
      want: 'the field "Content-ID" of a part cannot be written in ASCII',
    },
    {
      name: "a multipart without boundary is impossible",
      text: "Content-Type: multipart/mixed\n\n\xfc",
      want: "a part that cannot be encoded has 8-bit octets",
    },
  ])("$name", ({ text, want }) => {
    expect(converted(text)).toBe(want);
  });

  test("whatever comes, the result is 7-bit and holds the same parts, names and text", async () => {
    const line = fc.constantFrom(
      "--b",
      "--b--",
      "--c",
      "--c--",
      "",
      "text",
      "\xc3\xbc",
      "x".repeat(1000),
      "x".repeat(75),
      "--bx",
      "a\0b",
      "\xfc=41",
      "Content-Type: text/plain; charset=utf-8",
      "Content-Type: multipart/mixed; boundary=c",
      "Content-Type: message/rfc822",
      "Content-Transfer-Encoding: 8bit",
      "Content-Transfer-Encoding: quoted-printable",
      'Content-Type: a/b; name="\xc3\xbc"',
    );
    let possible = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 20 }), async (lines) => {
        const { header, body } = message(
          `Content-Type: multipart/mixed; boundary=b\n\n--b\n${lines.join("\n")}`,
        );
        const result = to7Bit(header, body);
        if (result.kind === "impossible") return;
        possible++;
        expect(has8Bit(result.body) || hasBinary(result.body)).toBe(false);
        const before = await scanMime(header, [body], limits);
        const after = await scanMime(result.header, [result.body], limits);
        const facts = ({ parts }: typeof before) =>
          parts.map(({ path, fileName, contentType }) => ({ path, fileName, contentType }));
        expect(facts(after)).toEqual(facts(before));
        expect(after.text).toBe(before.text);
      }),
      { numRuns: 2000 },
    );
    expect(possible).toBeGreaterThan(500);
  });
});

const envelope = (sender: string, recipient: string, smtpUtf8 = true) => ({
  sender: parseAddress(sender)!,
  recipients: [{ address: parseAddress(recipient)!, original: parseAddress(recipient)! }],
  bodyType: "8BITMIME" as const,
  smtpUtf8,
  requireTls: false,
});

describe("needsSmtpUtf8()", () => {
  test.each([
    {
      name: "ASCII does not",
      envelope: envelope("a@x.example", "b@x.example"),
      lines: "A: b\r\n",
      want: false,
    },
    {
      name: "a UTF-8 recipient does",
      envelope: envelope("a@x.example", "ü@x.example"),
      lines: "",
      want: true,
    },
    { name: "a UTF-8 sender does", envelope: envelope("ü@x.example", "b@x.example"), lines: "", want: true },
    {
      name: "a U-label alone does not",
      envelope: envelope("a@bücher.example", "b@x.example"),
      lines: "",
      want: false,
    },
    {
      name: "a UTF-8 header does",
      envelope: envelope("a@x.example", "b@x.example"),
      lines: "A: \xc3\xbc\r\n",
      want: true,
    },
    {
      name: "raw octets of an old client do not",
      envelope: envelope("a@x.example", "b@x.example", false),
      lines: "A: \xfc\r\n",
      want: false,
    },
  ])("$name", ({ envelope, lines, want }) => {
    expect(needsSmtpUtf8({ envelope, header: parseHeader(lines) })).toBe(want);
  });
});

describe("downgradeUtf8()", () => {
  const plain = envelope("a@x.example", "b@x.example");
  test.each([
    { name: "a subject", lines: "Subject: gr\xc3\xbcn\r\n", want: "Subject: =?utf-8?b?Z3LDvG4=?=\r\n" },
    {
      name: "a display name",
      lines: "From: J\xc3\xbcrgen M <a@x.example>\r\n",
      want: "From: =?utf-8?b?SsO8cmdlbiBN?= <a@x.example>\r\n",
    },
    {
      name: "a quoted name",
      lines: 'To: "M\xc3\xbcller, J" <a@x.example>, b@x.example\r\n',
      want: "To: =?utf-8?q?M=C3=BCller=2C_J?= <a@x.example>, b@x.example\r\n",
    },
    {
      name: "a comment",
      lines: "Cc: a@x.example (J\xc3\xbcrgen)\r\n",
      want: "Cc: a@x.example (=?utf-8?q?J=C3=BCrgen?=)\r\n",
    },
    {
      name: "a group",
      lines: "To: Gr\xc3\xbcn: a@x.example;\r\n",
      want: "To: =?utf-8?b?R3LDvG4=?=: a@x.example;\r\n",
    },
    {
      name: "the FOR clause of a trace",
      lines: "Received: from a by b\r\n for <\xc3\xbc@x.example>; Sat, 21 Nov 2026 12:00:00 +0000\r\n",
      want: "Received: from a by b; Sat, 21 Nov 2026 12:00:00 +0000\r\n",
    },
    { name: "ASCII fields octet for octet", lines: "X:   a\r\n  b\r\n", want: "X:   a\r\n  b\r\n" },
  ])("rewrites $name", ({ lines, want }) => {
    const result = downgradeUtf8(parseHeader(lines), plain);
    expect(result.kind === "converted" ? formatHeader(result.header) : result.reason).toBe(want);
  });

  test.each([
    {
      name: "a UTF-8 address in the header",
      lines: "To: <\xc3\xbc@x.example>\r\n",
      use: plain,
      want: 'the field "To" cannot be written in ASCII',
    },
    {
      name: "a UTF-8 Message-ID",
      lines: "Message-ID: <\xc3\xbc@x>\r\n",
      use: plain,
      want: 'the field "Message-ID" cannot be written in ASCII',
    },
    {
      name: "a line that is no field",
      lines: "\xc3\xbc\r\n",
      use: plain,
      want: 'the field "" cannot be written in ASCII',
    },
    {
      name: "a UTF-8 address in the envelope",
      lines: "",
      use: envelope("ü@x.example", "b@x.example"),
      want: "an address of the envelope is in UTF-8",
    },
  ])("$name is impossible", ({ lines, use, want }) => {
    expect(downgradeUtf8(parseHeader(lines), use)).toEqual({ kind: "impossible", reason: want });
  });

  test("any text field is ASCII afterwards and reads the same", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", "ü", " ", "€", "=?", "?=", "😀"), minLength: 1 }),
        (text) => {
          const trimmed = text.trim().replace(/ +/g, " ");
          const field = asciiField({
            name: "Subject",
            raw: `Subject: ${Buffer.from(trimmed).toString("latin1")}\r\n`,
          });
          expect(field?.raw).toMatch(/^[\x20-\x7e\r\n]*$/);
          if (/[^\x00-\x7f]/.test(trimmed))
            expect(decodeHeaderText(headerValues([field!], "Subject")[0]!)).toBe(trimmed);
        },
      ),
    );
  });

  test.each(['"', "(", "<", "a ", "ü ", ",", ' "ü" ', "@", "a;b="])("a megabyte of %j is linear", (piece) => {
    const value = Buffer.from(piece.repeat(1_000_000 / piece.length)).toString("latin1");
    const start = performance.now();
    asciiField({ name: "To", raw: `To: ${value}\xc3\xbc\r\n` });
    asciiField({ name: "Content-Type", raw: `Content-Type: ${value}\xc3\xbc\r\n` });
    asciiField({ name: "Received", raw: `Received: ${value}\xc3\xbc\r\n` });
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});
