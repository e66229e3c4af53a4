import { describe, expect, test } from "vitest";
import { compareVersions } from "./versions.ts";

describe("compareVersions()", () => {
  test.each([
    { name: "counts, not letters, decide", a: "99", b: "100", want: -1 },
    { name: "a later one is above", a: "101", b: "100", want: 1 },
    { name: "the same is the same", a: "100", b: "100", want: 0 },
    { name: "beyond what a number holds", a: "9007199254740993", b: "9007199254740992", want: 1 },
  ])("$name", ({ a, b, want }) => {
    expect(Math.sign(compareVersions(a, b) ?? Number.NaN)).toBe(want);
  });

  test.each([
    { a: undefined, b: "1" },
    { a: "1", b: "x7" },
  ])("$a and $b cannot be compared", ({ a, b }) => {
    expect(compareVersions(a, b)).toBeUndefined();
  });
});
