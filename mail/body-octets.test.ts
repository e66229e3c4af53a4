import fc from "fast-check";
import { expect, test } from "vitest";
import { has8Bit, hasBinary } from "./body-octets.ts";

test.each([
  { name: "nothing", octets: "", eight: false, binary: false },
  { name: "ASCII lines", octets: "a\r\nb\r\n", eight: false, binary: false },
  { name: "8-bit lines", octets: "\xfc\r\n", eight: true, binary: false },
  { name: "a line of 998", octets: `${"a".repeat(998)}\r\n`, eight: false, binary: false },
  { name: "a line of 999", octets: `${"a".repeat(999)}\r\n`, eight: false, binary: true },
  { name: "a last line of 999", octets: `a\r\n${"a".repeat(999)}`, eight: false, binary: true },
  { name: "NUL", octets: "a\0b", eight: false, binary: true },
  { name: "a bare LF", octets: "a\nb", eight: false, binary: true },
  { name: "a first bare LF", octets: "\n", eight: false, binary: true },
  { name: "a bare CR", octets: "a\rb", eight: false, binary: true },
  { name: "a last CR", octets: "a\r", eight: false, binary: true },
])("$name: 8-bit $eight, binary $binary", ({ octets, eight, binary }) => {
  expect(has8Bit(Buffer.from(octets, "latin1"))).toBe(eight);
  expect(hasBinary(Buffer.from(octets, "latin1"))).toBe(binary);
});

test("octets that are no lines are seen wherever they stand, and wherever the body lies in memory", () => {
  const piece = fc.constantFrom(
    "\0",
    "\r",
    "\n",
    "\r\n",
    "\t",
    "\x0e",
    "a",
    "abcde",
    "\xff",
    "a".repeat(997),
  );
  const bodies = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(bodies, fc.nat({ max: 7 }), (text, offset) => {
      const octets = new Uint8Array(offset + text.length).subarray(offset);
      octets.set(Buffer.from(text, "latin1"));
      const rest = text.replaceAll("\r\n", " ");
      const isLong = text.split("\r\n").some((line) => line.length > 998);
      expect(hasBinary(octets)).toBe(isLong || /[\r\n\0]/.test(rest));
    }),
    { numRuns: 1000 },
  );
});
