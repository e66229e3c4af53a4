import { describe, expect, test } from "vitest";
import { parseHeader } from "../../mail/header.ts";
import { type MimePart, scanMime } from "../../mail/mime.ts";
import { makeContent, makeTools } from "../../test/helpers/agent-facts.ts";
import type { SettingsOf } from "./agent.ts";
import { attachmentFilter, effectiveName } from "./attachment-filter.ts";

type Settings = SettingsOf<"attachmentFilter">;

function build(settings: Partial<Settings> = {}) {
  const all: Settings = {
    entries: [
      { type: "FileName", pattern: "*.exe" },
      { type: "FileName", pattern: "Invoice?.pdf" },
      { type: "ContentType", pattern: "application/x-msdownload" },
      { type: "ContentType", pattern: "text/html" },
    ],
    action: "Reject",
    rejectResponse: "Not here",
    ...settings,
  };
  return attachmentFilter.create(all, makeTools());
}

const rejected = { action: "reject", reply: { code: 550, status: "5.7.1", text: "Not here" } };

describe("what is hit", () => {
  const rows: { name: string; part: Partial<MimePart>; want: unknown }[] = [
    { name: "a name", part: { fileName: "setup.exe" }, want: rejected },
    { name: "a name in capitals", part: { fileName: "SETUP.EXE" }, want: rejected },
    { name: "a name with trailing dots and spaces", part: { fileName: "setup.exe. . " }, want: rejected },
    { name: "a name behind a folder", part: { fileName: "C:\\temp\\setup.exe" }, want: rejected },
    {
      name: "a name with invisible characters",
      part: { fileName: "setup.e\u200bx\u202ee\u0000" },
      want: rejected,
    },
    {
      name: "a name of a part shown inline",
      part: { fileName: "setup.exe", attachment: false },
      want: rejected,
    },
    { name: "one character for a question mark", part: { fileName: "invoice7.pdf" }, want: rejected },
    {
      name: "a sniffed type under a harmless name",
      part: { fileName: "cat.jpg", sniffedType: "application/x-msdownload" },
      want: rejected,
    },
    {
      name: "a sniffed type of a part shown as text",
      part: { attachment: false, contentType: "text/plain", sniffedType: "application/x-msdownload" },
      want: rejected,
    },
    { name: "a declared type of an attachment", part: { contentType: "text/html" }, want: rejected },
    {
      name: "not the declared type of the text",
      part: { attachment: false, contentType: "text/html" },
      want: undefined,
    },
    {
      name: "not a name that only contains the extension",
      part: { fileName: "setup.exe.txt" },
      want: undefined,
    },
    { name: "not a name one character too long", part: { fileName: "invoice77.pdf" }, want: undefined },
    { name: "not a part without a name", part: {}, want: undefined },
  ];
  test.each(rows)("$name", async ({ part, want }) => {
    expect(await build().onEndOfData?.(makeContent({ parts: [{ attachment: false }, part] }))).toEqual(want);
  });
});

describe("what happens", () => {
  const parts = [
    { attachment: false },
    { fileName: "a.exe", path: "1.2" },
    { fileName: "b.txt" },
    { fileName: "c.exe", path: "3" },
  ];
  test.each([
    { action: "Reject" as const, want: rejected, stripped: [] },
    {
      action: "SilentDelete" as const,
      want: { action: "drop", reason: 'attachment "a.exe" matches *.exe, attachment "c.exe" matches *.exe' },
      stripped: [],
    },
    {
      action: "Quarantine" as const,
      want: {
        action: "quarantine",
        reason: 'attachment "a.exe" matches *.exe, attachment "c.exe" matches *.exe',
      },
      stripped: [],
    },
    { action: "Strip" as const, want: undefined, stripped: ["1.2", "3"] },
  ])("$action", async ({ action, want, stripped }) => {
    const content = makeContent({ parts });
    expect(await build({ action }).onEndOfData?.(content)).toEqual(want);
    expect(content.stripped).toEqual(stripped);
  });

  test.each([
    {
      name: "a message too complex to judge is refused",
      action: "Strip" as const,
      want: { action: "reject", reply: { status: "5.6.0" } },
    },
    {
      name: "or kept, where the action is Quarantine",
      action: "Quarantine" as const,
      want: { action: "quarantine" },
    },
  ])("$name", async ({ action, want }) => {
    expect(await build({ action }).onEndOfData?.(makeContent({ tooComplex: true }))).toMatchObject(want);
  });

  test("without entries nothing is scanned", () => {
    expect(build({ entries: [] })).toEqual({});
  });
});

describe("as messages hide it", () => {
  const LIMITS = { maxParts: 100, maxDepth: 10, maxText: 1_000 };
  const message = (lines: readonly string[]) => {
    const header = parseHeader('Content-Type: multipart/mixed; boundary="b"\r\n');
    const body = ["--b", "Content-Type: text/plain", "", "hello", "--b", ...lines, "--b--", ""].join("\r\n");
    return scanMime(header, [Buffer.from(body, "latin1")], LIMITS);
  };
  const exe = Buffer.from("MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0", "latin1").toString("base64");
  test.each([
    {
      name: "a name in pieces (RFC 2231)",
      lines: [
        "Content-Type: application/pdf",
        "Content-Disposition: attachment; filename*0=se; filename*1=tup.e; filename*2=xe",
        "",
        "x",
      ],
    },
    {
      name: "a percent-encoded name",
      lines: [
        "Content-Type: application/pdf",
        "Content-Disposition: attachment; filename*=utf-8''setup%2Eexe",
        "",
        "x",
      ],
    },
    {
      name: "an encoded word as a name",
      lines: ['Content-Type: application/pdf; name="=?utf-8?B?c2V0dXAuZXhl?="', "", "x"],
    },
    {
      name: "octets under a harmless name and type",
      lines: ["Content-Type: image/jpeg; name=cat.jpg", "Content-Transfer-Encoding: base64", "", exe],
    },
    {
      name: "a part of an attached message",
      lines: ["Content-Type: message/rfc822", "", "Content-Type: application/pdf; name=setup.exe", "", "x"],
    },
  ])("$name is hit", async ({ lines }) => {
    const mime = await message(lines);
    expect(await build().onEndOfData?.({ ...makeContent(), mime: () => Promise.resolve(mime) })).toEqual(
      rejected,
    );
  });

  test("a harmless message passes", async () => {
    const mime = await message(["Content-Type: image/jpeg; name=cat.jpg", "", "x"]);
    expect(
      await build().onEndOfData?.({ ...makeContent(), mime: () => Promise.resolve(mime) }),
    ).toBeUndefined();
  });
});

test("500 patterns and 1,000 parts with long names are judged at once", async () => {
  const entries = Array.from({ length: 500 }, (_, index) => ({
    type: "FileName" as const,
    pattern: `*.x${index}`,
  }));
  const parts = Array.from({ length: 1_000 }, () => ({ fileName: `${".".repeat(10_000)}x` }));
  const from = performance.now();
  expect(await build({ entries }).onEndOfData?.(makeContent({ parts }))).toBeUndefined();
  expect(performance.now() - from).toBeLessThan(8_000);
});

test("a file name of a megabyte is judged at once", () => {
  const from = performance.now();
  expect(effectiveName(`${". ".repeat(500_000)}x`)).toHaveLength(255);
  expect(effectiveName("/".repeat(1_000_000))).toBe("");
  expect(performance.now() - from).toBeLessThan(8_000);
});
