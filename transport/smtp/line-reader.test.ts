import { describe, expect, test } from "vitest";
import { LineReader } from "./line-reader.ts";

/** Every line of `pieces`, as text or as the kind of its fault. */
function read(pieces: readonly string[], isAuth = false): string[] {
  const reader = new LineReader();
  const lines: string[] = [];
  for (const piece of pieces) {
    let rest = Buffer.from(piece, "latin1");
    while (rest.length > 0) {
      const line = reader.take(rest, isAuth);
      rest = rest.subarray(reader.used);
      if (line !== undefined) lines.push(line.kind === "line" ? line.octets.toString("latin1") : line.kind);
    }
  }
  return lines;
}

describe("LineReader", () => {
  test.each([
    { name: "lines end in CRLF", text: "A\r\nB\r\n", want: ["A", "B"] },
    { name: "a bare LF is a fault", text: "A\nB\r\n", want: ["bare-lf", "B"] },
    { name: "a LF alone is a fault", text: "\n", want: ["bare-lf"] },
    { name: "a bare CR stays in the line", text: "A\rB\r\n", want: ["A\rB"] },
    { name: "an empty line is a line", text: "\r\n", want: [""] },
  ])("$name, at any split", ({ text, want }) => {
    for (let at = 0; at <= text.length; at++) expect(read([text.slice(0, at), text.slice(at)])).toEqual(want);
  });

  test.each([
    { name: "2048 octets pass", text: `${"A".repeat(2046)}\r\n`, want: ["A".repeat(2046)] },
    {
      name: "2049 are too long, and the next line is read",
      text: `${"A".repeat(2047)}\r\nB\r\n`,
      want: ["long", "B"],
    },
    {
      name: "AUTH may be longer",
      text: `auth ${"A".repeat(12_281)}\r\n`,
      want: [`auth ${"A".repeat(12_281)}`],
    },
    { name: "AUTH may not be longer still", text: `AUTH ${"A".repeat(12_282)}\r\n`, want: ["long"] },
  ])("$name", ({ text, want }) => {
    expect(read([text])).toEqual(want);
    expect(read([text.slice(0, 1500), text.slice(1500)])).toEqual(want);
    expect(read(text.match(/[\s\S]{1,100}/g) ?? [])).toEqual(want);
  });

  test("an answer to a challenge may be as long as AUTH", () => {
    const line = "A".repeat(12_000);
    expect(read([`${line}\r\n`], true)).toEqual([line]);
  });

  test("a line without end is given up", () => {
    const piece = "A".repeat(10_000);
    expect(read(Array.from({ length: 30 }, () => piece))).toContain("endless");
  });
});
