import { describe, expect, test } from "vitest";
import { stripAttachments, wrapMessage } from "./content.ts";
import { formatHeader, parseHeader } from "./header.ts";
import { scanMime } from "./mime.ts";

const limits = { maxParts: 1000, maxDepth: 20, maxText: 10_000 };

function message(text: string) {
  const wire = text.replaceAll("\n", "\r\n");
  const end = wire.indexOf("\r\n\r\n") + 2;
  return { header: parseHeader(wire.slice(0, end)), body: Buffer.from(wire.slice(end + 2), "latin1") };
}

const shown = ({ header, body }: { header: readonly { name: string; raw: string }[]; body: Uint8Array }) =>
  `${formatHeader(header)}\r\n${Buffer.from(body).toString("latin1")}`.replaceAll("\r\n", "\n");

describe("wrapMessage()", () => {
  const original =
    "Received: x\nDKIM-Signature: y\nFrom: a@b.example\nSubject: Lunch\nContent-Type: text/plain\n\nhello\n";

  test("the original is attached as it was, below the text", () => {
    const { header, body } = message(original);
    expect(shown(wrapMessage(header, body, { text: "Our text", html: "<p>Our text</p>" }))).toBe(
      `Received: x\nFrom: a@b.example\nSubject: Lunch\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="wrap-0"

--wrap-0
Content-Type: multipart/alternative; boundary="wrap-text-0"

--wrap-text-0
Content-Type: text/plain; charset=us-ascii

Our text

--wrap-text-0
Content-Type: text/html; charset=us-ascii

<p>Our text</p>

--wrap-text-0--

--wrap-0
Content-Type: message/rfc822

${original}
--wrap-0--
`,
    );
  });

  test.each([
    { name: "8-bit originals are declared 8bit", octets: "\xfc\r\n", want: "8bit" },
    { name: "binary originals are declared binary", octets: "\0", want: "binary" },
  ])("$name", ({ octets, want }) => {
    const text = shown(
      wrapMessage(parseHeader("Subject: x\r\n"), Buffer.from(octets, "latin1"), { text: "a", html: "" }),
    );
    expect(text.match(new RegExp(`^Content-Transfer-Encoding: ${want}$`, "gm"))).toHaveLength(2);
  });

  test("a header in UTF-8 makes a message/global", () => {
    expect(
      shown(wrapMessage(parseHeader("Subject: \xc3\xbc\r\n"), Buffer.alloc(0), { text: "a", html: "" })),
    ).toContain("Content-Type: message/global\nContent-Transfer-Encoding: 8bit");
  });

  test("a message wrapped twice keeps every layer", async () => {
    const { header, body } = message(original);
    const once = wrapMessage(header, body, { text: "ü", html: "" });
    const twice = wrapMessage(once.header, once.body, { text: "", html: "" });
    const { parts } = await scanMime(twice.header, [twice.body], limits);
    expect(parts.map(({ path, contentType }) => `${path} ${contentType}`)).toEqual([
      "1.1 text/plain",
      "2 message/rfc822",
      "2.1.1 text/plain",
      "2.2 message/rfc822",
      "2.2.1 text/plain",
    ]);
  });
});

describe("stripAttachments()", () => {
  const mixed =
    "Content-Type: multipart/mixed; boundary=b\n\npre\n--b\n\nhi\n--b\nContent-Type: application/x; name=a.exe\n\nMZ\n--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nin\n--c\nContent-Type: a/b; name=b.exe\n\nMZ\n--c--\n--b--\npost\n";
  const note = "Content-Type: text/plain; charset=us-ascii\n\nremoved\n";

  test.each([
    { name: "no path changes nothing", paths: [], want: mixed },
    {
      name: "an attachment becomes the note",
      paths: ["2"],
      want: mixed.replace("Content-Type: application/x; name=a.exe\n\nMZ", note),
    },
    {
      name: "inside an attached message too",
      paths: ["3.2"],
      want: mixed.replace("Content-Type: a/b; name=b.exe\n\nMZ", note),
    },
    {
      name: "several at once",
      paths: ["3.2", "2"],
      want: mixed
        .replace("Content-Type: application/x; name=a.exe\n\nMZ", note)
        .replace("Content-Type: a/b; name=b.exe\n\nMZ", note),
    },
    {
      name: "of a part and one inside it the outer counts",
      paths: ["3.2", "3"],
      want: mixed.replace(/Content-Type: message[\s\S]*--c--/, note),
    },
    {
      name: "a path below a leaf takes the leaf",
      paths: ["2.1.4"],
      want: mixed.replace("Content-Type: application/x; name=a.exe\n\nMZ", note),
    },
    { name: "a path that leads nowhere takes all", paths: ["7"], want: `MIME-Version: 1.0\n${note}` },
  ])("$name", ({ paths, want }) => {
    const { header, body } = message(mixed);
    expect(shown(stripAttachments(header, body, paths, "removed"))).toBe(want);
  });

  test("a message that is the attachment keeps its other fields", () => {
    const { header, body } = message(
      "Subject: x\nMIME-Version: 1.0\nContent-Type: a/b; name=x.exe\nContent-Transfer-Encoding: base64\n\nTVo=\n",
    );
    expect(shown(stripAttachments(header, body, ["1"], "é"))).toBe(
      "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A9\n",
    );
  });

  test("a message too complex to edit is replaced as a whole", () => {
    const parts = "--b\n\nx\n".repeat(100_001);
    const { header, body } = message(`Content-Type: multipart/mixed; boundary=b\n\n${parts}`);
    expect(shown(stripAttachments(header, body, ["1"], "removed"))).toBe(`MIME-Version: 1.0\n${note}`);
  });

  test("a note with a delimiter in it adds no part", async () => {
    const { header, body } = message(mixed);
    const stripped = stripAttachments(header, body, ["2"], "x\n--b\n\nevil");
    const before = await scanMime(header, [body], limits);
    const after = await scanMime(stripped.header, [stripped.body], limits);
    expect(after.parts.map(({ path }) => path)).toEqual(before.parts.map(({ path }) => path));
  });
});
