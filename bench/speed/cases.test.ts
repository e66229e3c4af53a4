import { describe, expect, test } from "vitest";
import { CASES, type Case, casesNamed } from "./cases.ts";

const VARIED = ["size", "kept", "clients", "recipients", "tls"] as const satisfies readonly (keyof Case)[];

describe("CASES", () => {
  test("no two have the same id or the same load", () => {
    expect(new Set(CASES.map(({ id }) => id)).size).toBe(CASES.length);
    expect(new Set(CASES.map((one) => JSON.stringify(VARIED.map((field) => one[field])))).size).toBe(
      CASES.length,
    );
  });

  test("each but the base differs from it in one thing", () => {
    const [base, ...others] = CASES;
    for (const other of others) {
      expect({
        id: other.id,
        differs: VARIED.filter((field) => other[field] !== base?.[field]).length,
      }).toEqual({
        id: other.id,
        differs: 1,
      });
    }
  });
});

describe("casesNamed()", () => {
  test("all when none is named", () => expect(casesNamed([])).toBe(CASES));
  test("those named come in the order of the matrix", () =>
    expect(casesNamed(["one", "kept"]).map(({ id }) => id)).toEqual(["kept", "one"]));
  test("a name that is none is told with those that are", () =>
    expect(() => casesNamed(["keep"])).toThrow('No case "keep": there are kept, one,'));
});
