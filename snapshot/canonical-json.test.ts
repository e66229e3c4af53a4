import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "./canonical-json.ts";

describe("canonicalJson()", () => {
  test("is the same before and after a round trip, and does not depend on the order of keys", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const copy = JSON.parse(JSON.stringify(value), (_, field) =>
          field !== null && typeof field === "object" && !Array.isArray(field)
            ? Object.fromEntries(Object.entries(field).reverse())
            : field,
        );
        expect(canonicalJson(copy)).toBe(canonicalJson(value));
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test("leaves undefined out, as JSON does", () =>
    expect(canonicalJson({ b: undefined, a: [1] })).toBe('{"a":[1]}'));
});
