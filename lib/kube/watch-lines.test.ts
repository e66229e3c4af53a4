import { expect, test } from "vitest";
import { LineSplitter } from "./watch-lines.ts";

const TEXT = '{"a":"Zürich"}\n{"b":"日本語 😀"}\r\n\n{"c":3}\n';
const LINES = ['{"a":"Zürich"}', '{"b":"日本語 😀"}', '{"c":3}'];

test("lines are the same whatever the pieces, also in the middle of a character", () => {
  const octets = Buffer.from(TEXT);
  for (let size = 1; size <= octets.length; size++) {
    const splitter = new LineSplitter(100);
    const lines: string[] = [];
    for (let at = 0; at < octets.length; at += size)
      lines.push(...splitter.push(octets.subarray(at, at + size)));
    expect(lines).toEqual(LINES);
    expect(splitter.pending).toBe(0);
  }
});

test("a line that has not ended is pending", () => {
  const splitter = new LineSplitter(100);
  expect(splitter.push(Buffer.from("a\nbc"))).toEqual(["a"]);
  expect(splitter.pending).toBe(2);
});

test("a line that is too long is refused before it ends", () => {
  const splitter = new LineSplitter(4);
  splitter.push(Buffer.from("abcd"));
  expect(() => splitter.push(Buffer.from("e"))).toThrow(RangeError);
});
