import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LineScan } from "./line-scan.ts";

/** All places found, one after the other. */
function found(chunk: Buffer): number[] {
  const scan = new LineScan(chunk);
  const places: number[] = [];
  for (let at = scan.next(0); at < chunk.length; at = scan.next(at + 1)) places.push(at);
  return places;
}

function model(chunk: Buffer): number[] {
  return [...chunk.keys()].filter((at) => [0, 10, 13].includes(chunk[at] as number));
}

describe("LineScan", () => {
  test("finds CR, LF and NUL, wherever the chunk begins in memory and whatever stands between", () => {
    const octet = fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(0x61, 0x0e, 0x0c, 0x0b, 0x09, 0x01, 0x7f, 0x80, 0xff) },
      { weight: 1, arbitrary: fc.constantFrom(0x00, 0x0a, 0x0d) },
    );
    const octets = fc.array(octet, { minLength: 0, maxLength: 1200 });
    fc.assert(
      fc.property(octets, fc.nat(3), (values, lead) => {
        const chunk = Buffer.from([...Array<number>(lead).fill(0), ...values]).subarray(lead);
        expect(found(chunk)).toEqual(model(chunk));
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    { name: "nothing in a long chunk", chunk: Buffer.alloc(100_000, "x"), want: [] },
    { name: "the last octet", chunk: Buffer.from(`${"x".repeat(1021)}\n`), want: [1021] },
    { name: "every octet", chunk: Buffer.alloc(300), want: [...Array(300).keys()] },
    { name: "nothing in no chunk", chunk: Buffer.alloc(0), want: [] },
  ])("$name", ({ chunk, want }) => {
    expect(found(chunk)).toEqual(want);
  });
});
