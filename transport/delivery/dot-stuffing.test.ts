import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DotStuffer } from "./dot-stuffing.ts";

function stuff(...chunks: string[]): string {
  const stuffer = new DotStuffer();
  const parts = chunks.map((chunk) => stuffer.write(Buffer.from(chunk, "latin1")));
  return Buffer.concat([...parts, stuffer.end()]).toString("latin1");
}

/** The same by regular expressions over the whole text. */
function reference(text: string): string {
  const lines = text.replace(/\r\n|\r|\n/g, "\n").replace(/\n/g, "\r\n");
  const ended = lines === "" || lines.endsWith("\r\n") ? lines : `${lines}\r\n`;
  return `${ended.replace(/(^|\r\n)\./g, "$1..")}.\r\n`;
}

describe("DotStuffer", () => {
  test.each([
    { name: "a clean message only gets its end", in: ["a\r\nb\r\n"], want: "a\r\nb\r\n.\r\n" },
    { name: "a message without a final line end gets one", in: ["a"], want: "a\r\n.\r\n" },
    { name: "a message that ends in CR gets the LF", in: ["a\r"], want: "a\r\n.\r\n" },
    { name: "an empty message is only the end", in: [], want: ".\r\n" },
    { name: "a dot at the start of the message is doubled", in: [".a\r\n"], want: "..a\r\n.\r\n" },
    { name: "a dot split from its line end is doubled", in: ["a\r\n", ".\r\n"], want: "a\r\n..\r\n.\r\n" },
    {
      name: "a bare LF before a lone dot ends no data",
      in: ["a\n.\r\nMAIL"],
      want: "a\r\n..\r\nMAIL\r\n.\r\n",
    },
    {
      name: "a bare CR before a lone dot ends no data",
      in: ["a\r.\rMAIL"],
      want: "a\r\n..\r\nMAIL\r\n.\r\n",
    },
    { name: "CR split from its LF stays one line end", in: ["a\r", "\nb\r\n"], want: "a\r\nb\r\n.\r\n" },
  ])("$name", ({ in: chunks, want }) => {
    expect(stuff(...chunks)).toBe(want);
  });

  test("any text in any chunks comes out as the whole text would", () => {
    const piece = fc.string({ unit: fc.constantFrom("\r", "\n", ".", "a", "\r\n"), maxLength: 12 });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (chunks) => {
        expect(stuff(...chunks)).toBe(reference(chunks.join("")));
      }),
      { numRuns: 2000 },
    );
  });

  test("a clean chunk is not copied", () => {
    const chunk = Buffer.from("a\r\nb\r\n");
    expect(new DotStuffer().write(chunk)).toBe(chunk);
  });

  test("10 MB of lone dots take well under a second", () => {
    const chunk = Buffer.from(".\r\n".repeat(21_845));
    const stuffer = new DotStuffer();
    const start = performance.now();
    let size = 0;
    for (let sent = 0; sent < 10 * 1024 * 1024; sent += chunk.length) size += stuffer.write(chunk).length;
    expect(size).toBeGreaterThan(13 * 1024 * 1024);
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});
