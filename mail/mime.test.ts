import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseHeader } from "./header.ts";
import { type MimeLimits, scanMime, scanWholeMime } from "./mime.ts";

const limits: MimeLimits = { maxParts: 1000, maxDepth: 20, maxText: 100_000 };

function split(message: string): { header: ReturnType<typeof parseHeader>; body: Buffer } {
  const wire = message.replaceAll("\n", "\r\n");
  const end = wire.startsWith("\r\n") ? 0 : wire.indexOf("\r\n\r\n") + 2;
  return { header: parseHeader(wire.slice(0, end)), body: Buffer.from(wire.slice(end + 2), "latin1") };
}

function* pieces(body: Buffer, size: number): Generator<Uint8Array> {
  for (let at = 0; at < body.length; at += size) yield Buffer.from(body.subarray(at, at + size));
}

const scan = (message: string, size = 65_536, use = limits) => {
  const { header, body } = split(message);
  return scanMime(header, pieces(body, size), use);
};

const mixed = (...parts: string[]) =>
  `Content-Type: multipart/mixed; boundary=b\n\npreamble\n${parts.map((part) => `--b\n${part}\n`).join("")}--b--\nepilogue\n`;

const exe = "Content-Disposition: attachment; filename=a.exe\n\nMZ";

describe("scanMime()", () => {
  test.each([
    "utf-8",
    "us-ascii",
    "iso-8859-1",
    "shift_jis",
    "iso-2022-jp",
    "utf-16le",
    "gb18030",
    undefined,
  ])("reads long text in %s as it does octet by octet, wherever it is cut", async (charset) => {
    const label = charset === undefined ? "" : `; charset=${charset}`;
    const line = `${"long lines of ASCII ".repeat(3)}\r\n`;
    const texts = [
      line.repeat(400),
      "\u00e9\ufeff\x1b$B",
      line.repeat(300),
      "\x82\xe9",
      "\ufeff",
      line.repeat(150),
    ];
    for (const [n, encoding] of (["utf8", "latin1"] as const).entries()) {
      const body = Buffer.concat(texts.slice(n).map((text) => Buffer.from(text, encoding)));
      const part = Buffer.concat([Buffer.from(`--b\r\nContent-Type: text/plain${label}\r\n\r\n`), body]);
      const whole = Buffer.concat([part, Buffer.from("\r\n"), part, Buffer.from("\r\n--b--\r\n")]);
      const header = parseHeader("Content-Type: multipart/mixed; boundary=b\r\n");
      const read = (size: number) => scanMime(header, pieces(whole, size), { ...limits, maxText: 25_000 });
      const { text, textLength } = await read(1000);
      expect([text.length, textLength]).toEqual([25_000, 25_000]);
      for (const size of [8192, 16_384, 24_801, 65_536, whole.length]) {
        const again = await read(size);
        expect(again.text === text).toBe(true);
        expect(again.textLength).toBe(textLength);
      }
      expect(scanWholeMime(header, whole, { ...limits, maxText: 25_000 }).text === text).toBe(true);
    }
  });

  test.each(["", "a", "\u00fc\u00ff", "\u0142", "\u{1f600}"])(
    "long text in pieces is one text with %j in it",
    async (other) => {
      const long = "long lines of ASCII \r\n".repeat(1000);
      const parts = [long, other, long].map((text) => `--b\r\nContent-Type: text/plain\r\n\r\n${text}\r\n`);
      const header = parseHeader("Content-Type: multipart/mixed; boundary=b\r\n");
      const { text, textLength } = await scanMime(
        header,
        pieces(Buffer.from(parts.join("")), 16_384),
        limits,
      );
      expect(text === `${long}\n${other}\n${long}\r\n`).toBe(true);
      expect(textLength).toBe(text.length);
    },
  );

  test("an ordinary message: text, HTML, an attachment and an attached message", async () => {
    const summary = await scan(
      mixed(
        'Content-Type: multipart/alternative; boundary="c"\n\n--c\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\ngr=C3=BC=\nn\n--c\nContent-Type: text/html\n\n<p>gr&uuml;n</p>\n--c--\n',
        "Content-Type: application/octet-stream; name=x.bin\nContent-Transfer-Encoding: base64\n\nJVBERi0xLjc=",
        "Content-Type: message/rfc822\n\nSubject: inner\nContent-Type: multipart/mixed; boundary=d\n\n--d\n\ninner text\n--d\nContent-Type: image/gif; name=i.gif\n\nGIF89a\n--d--\n",
      ),
    );
    expect(summary).toEqual({
      contentType: "multipart/mixed",
      tooComplex: false,
      text: "grün\ngrün\n",
      textLength: 10,
      parts: [
        {
          path: "1.1",
          contentType: "text/plain",
          charset: "utf-8",
          size: 5,
          attachment: false,
          fileName: undefined,
          sniffedType: undefined,
        },
        {
          path: "1.2",
          contentType: "text/html",
          charset: undefined,
          size: 16,
          attachment: false,
          fileName: undefined,
          sniffedType: undefined,
        },
        {
          path: "2",
          contentType: "application/octet-stream",
          charset: undefined,
          size: 8,
          attachment: true,
          fileName: "x.bin",
          sniffedType: "application/pdf",
        },
        {
          path: "3",
          contentType: "message/rfc822",
          charset: undefined,
          size: 139,
          attachment: true,
          fileName: undefined,
          sniffedType: undefined,
        },
        {
          path: "3.1",
          contentType: "text/plain",
          charset: undefined,
          size: 10,
          attachment: false,
          fileName: undefined,
          sniffedType: undefined,
        },
        {
          path: "3.2",
          contentType: "image/gif",
          charset: undefined,
          size: 6,
          attachment: true,
          fileName: "i.gif",
          sniffedType: "image/gif",
        },
      ],
    });
  });

  test.each([
    {
      name: "no MIME fields: one text part",
      message: "Subject: x\n\nhello\n",
      parts: ["1 text/plain 7"],
      text: "hello\r\n",
    },
    { name: "no header at all", message: "\nhello", parts: ["1 text/plain 5"], text: "hello" },
    { name: "an empty body", message: "A: b\n\n", parts: ["1 text/plain 0"], text: "" },
    {
      name: "no MIME-Version changes nothing",
      message: mixed(exe),
      parts: ["1 text/plain 2 a.exe"],
      text: "",
    },
    {
      name: "an empty part",
      message: mixed("", "\n"),
      parts: ["1 text/plain 0", "2 text/plain 0"],
      text: "",
    },
    {
      name: "a part without blank line is a header",
      message: mixed("A: b"),
      parts: ["1 text/plain 0"],
      text: "",
    },
    {
      name: "no closing delimiter",
      message: "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\nContent-Type: a/b\n\nyy",
      parts: ["1 text/plain 1", "2 a/b 2"],
      text: "x",
    },
    {
      name: "an inner multipart ends where the outer goes on",
      message: mixed("Content-Type: multipart/mixed; boundary=c\n\n--c\n\nx", exe),
      parts: ["1.1 text/plain 1", "2 text/plain 2 a.exe"],
      text: "x",
    },
    {
      name: "a part after the closing delimiter counts",
      message: `${mixed("\nx")}--b\n${exe}`,
      parts: ["1 text/plain 1", "2 text/plain 2 a.exe"],
      text: "x",
    },
    {
      name: "a longer line is no delimiter",
      message: mixed("\nx\n--bb\n--b x\n --b"),
      parts: ["1 text/plain 20"],
      text: "x\r\n--bb\r\n--b x\r\n --b",
    },
    {
      name: "white space after a delimiter is padding",
      message: mixed("\nx").replaceAll("--b\n", "--b \t\n"),
      parts: ["1 text/plain 1"],
      text: "x",
    },
    {
      name: "one boundary begins with the other",
      message: mixed("Content-Type: multipart/mixed; boundary=b1\n\n--b1\n\nx\n--b1--", exe),
      parts: ["1.1 text/plain 1", "2 text/plain 2 a.exe"],
      text: "x",
    },
    {
      name: "both of two boundaries count",
      message: `Content-Type: multipart/mixed; boundary=a; boundary=b\n\n--a\n\nx\n--b\n${exe}\n--b--\n`,
      parts: ["1 text/plain 1", "2 text/plain 2 a.exe"],
      text: "x",
    },
    {
      name: "the multipart of two Content-Type fields counts",
      message: `Content-Type: text/plain\n${mixed(exe)}`,
      parts: ["1 text/plain 2 a.exe"],
      text: "",
    },
    {
      name: "a multipart without boundary is one part",
      message: "Content-Type: multipart/mixed\n\nx",
      parts: ["1 multipart/mixed 1"],
      text: "",
    },
    {
      name: "a base64 multipart is read as it is",
      message: `Content-Transfer-Encoding: base64\n${mixed(exe)}`,
      parts: ["1 text/plain 2 a.exe"],
      text: "",
    },
    {
      name: "a part of a digest is a message",
      message: mixed("\nSubject: x\n\nhello").replace("mixed", "digest"),
      parts: ["1 message/rfc822 19", "1.1 text/plain 5"],
      text: "",
    },
    {
      name: "a message as the top type",
      message: `Content-Type: message/rfc822\n\n${mixed(exe)}`,
      parts: ["1 message/rfc822 132", "1.1 text/plain 2 a.exe"],
      text: "",
    },
    {
      name: "a message hidden in base64 is read",
      message: mixed(
        `Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n${Buffer.from(mixed("\nt", exe).replaceAll("\n", "\r\n")).toString("base64")}`,
      ),
      parts: ["1 message/rfc822 142", "1.1 text/plain 1", "1.2 text/plain 2 a.exe"],
      text: "",
    },
    {
      name: "bare line feeds end lines too",
      message: mixed("\nx", exe),
      bare: true,
      parts: ["1 text/plain 1", "2 text/plain 2 a.exe"],
      text: "x",
    },
    {
      name: "an inline part without name is shown",
      message: mixed("Content-Disposition: inline\n\nx"),
      parts: ["1 text/plain 1"],
      text: "x",
    },
  ])("$name", async ({ message, parts, text, bare }) => {
    for (const size of [1, 2, 3, 5, 65_536]) {
      const { header, body } = split(message);
      const octets = bare ? Buffer.from(body.toString("latin1").replaceAll("\r\n", "\n"), "latin1") : body;
      const summary = await scanMime(header, pieces(octets, size), limits);
      expect(scanWholeMime(header, octets, limits)).toEqual(summary);
      const shown = summary.parts.map((part) =>
        [
          part.path,
          part.contentType,
          part.size,
          ...(part.fileName === undefined ? [] : [part.fileName]),
        ].join(" "),
      );
      expect(shown).toEqual(parts);
      expect(summary.text).toBe(text);
      expect(summary.tooComplex).toBe(false);
    }
  });

  test("a second name is told", async () => {
    const { parts } = await scan(
      mixed("Content-Type: a/b; name=a.exe\nContent-Disposition: inline; filename=a.txt\n\n"),
    );
    expect(parts[0]).toMatchObject({ fileName: "a.txt", otherNames: ["a.exe"], attachment: true });
  });

  test("text stops at the limit", async () => {
    const summary = await scan(mixed("\nabcdef", "\nghi"), 2, { ...limits, maxText: 4 });
    expect(summary.text).toBe("abcd");
  });

  test("any message gives the same summary in pieces of any size, and never an error", async () => {
    const line = fc.constantFrom(
      "--a",
      "--a--",
      "--b",
      "--b--",
      "--b ",
      "",
      "-",
      "--",
      "x",
      " y",
      "=",
      "aGVsbG8=",
      "Content-Type: multipart/mixed; boundary=a",
      "Content-Type: multipart/mixed; boundary=b",
      "Content-Type: message/rfc822",
      "Content-Type: text/html",
      "Content-Transfer-Encoding: base64",
      "Content-Disposition: attachment; filename=x",
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 25 }),
        fc.integer({ min: 1, max: 9 }),
        async (lines, size) => {
          const message = `Content-Type: multipart/mixed; boundary=b\n\n${lines.join("\n")}`;
          const whole = await scan(message);
          expect(await scan(message, size)).toEqual(whole);
          const { header, body } = split(message);
          expect(scanWholeMime(header, body, limits)).toEqual(whole);
          expect(new Set(whole.parts.map((part) => part.path)).size).toBe(whole.parts.length);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("scanMime() against hostile messages", () => {
  const nested = (depth: number) => {
    let message = "\nbottom";
    for (let level = 0; level < depth; level++) {
      message = `Content-Type: multipart/mixed; boundary=b${level}\n\n--b${level}\n${message}\n--b${level}--\n`;
    }
    return message;
  };

  test.each([
    { name: "too many parts", message: mixed(...Array.from({ length: 5000 }, () => "\nx")), most: 1000 },
    { name: "too deep multiparts", message: nested(300), most: 1 },
    { name: "too deep messages", message: `${"Content-Type: message/rfc822\n\n".repeat(300)}x`, most: 21 },
    { name: "an endless header", message: mixed(`${"A: b\n".repeat(100_000)}\nx`), most: 1 },
    { name: "an endless header line", message: mixed(`A: ${"b".repeat(600_000)}\n\nx`), most: 1 },
  ])("$name is too complex", async ({ message, most }) => {
    const summary = await scan(message);
    expect(summary.tooComplex).toBe(true);
    expect(summary.parts.length).toBeLessThanOrEqual(most);
  });

  test("messages nested in base64 are too complex below the limit of depth", async () => {
    let message = "\nbottom";
    for (let level = 0; level < 8; level++) {
      const inner = Buffer.from(message.replaceAll("\n", "\r\n")).toString("base64");
      message = `Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n${inner}`;
    }
    expect((await scan(message)).tooComplex).toBe(false);
    expect((await scan(message, 65_536, { ...limits, maxDepth: 4 })).tooComplex).toBe(true);
  });

  test("reading stops when there are too many parts", async () => {
    let read = 0;
    function* endless() {
      for (; read < 100_000; read++) yield Buffer.from("--b\r\n\r\nx\r\n".repeat(100));
    }
    const header = parseHeader("Content-Type: multipart/mixed; boundary=b\r\n");
    await scanMime(header, endless(), limits);
    expect(read).toBeLessThan(20);
  });

  test.each([
    { name: "lines that look like delimiters", body: "--bx\n".repeat(1_600_000) },
    { name: "delimiters with endless padding", body: `--b${" ".repeat(4_000)}x\n`.repeat(2000) },
    { name: "hyphens", body: "-".repeat(8_000_000) },
    { name: "line breaks", body: "\n".repeat(4_000_000) },
    { name: "one line", body: "x".repeat(8_000_000) },
  ])("8 MB of $name are read in time", async ({ body }) => {
    const start = performance.now();
    await scan(`Content-Type: multipart/mixed; boundary=b\n\n--b\n\n${body}`);
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  test("a part of 32 MB keeps nothing in memory", async () => {
    const header = parseHeader(
      "Content-Type: application/x; name=a\r\nContent-Transfer-Encoding: base64\r\n",
    );
    const chunk = Buffer.from(`${"QUJD".repeat(19)}\r\n`.repeat(800));
    function* body() {
      for (let index = 0; index < 512; index++) yield chunk;
    }
    const before = process.memoryUsage().arrayBuffers;
    const { parts } = await scanMime(header, body(), limits);
    expect(parts[0]?.size).toBe(512 * 800 * 57);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
  });

  test("text that waits keeps no memory alive but its own", () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const attached = "Content-Disposition: attachment\n\n";
    const { header, body } = split(mixed(`\n${"x".repeat(9000)}`, attached + "a".repeat(60_000)));
    collect();
    const before = process.memoryUsage().arrayBuffers;
    const waiting = Array.from({ length: 400 }, () => {
      const summary = scanWholeMime(header, new Uint8Array(body), limits);
      // What others take from Node's pool meanwhile.
      for (let n = 0; n < 15; n++) Buffer.from("x".repeat(4000));
      return summary;
    });
    collect();
    const kept = process.memoryUsage().arrayBuffers - before;
    expect(kept).toBeLessThan(2 * 400 * 9000);
    expect(new Set(waiting.map(({ text }) => text))).toEqual(new Set(["x".repeat(9000)]));
  });
});
