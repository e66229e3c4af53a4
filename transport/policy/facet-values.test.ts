import { describe, expect, test } from "vitest";
import { complete, FacetValues, NONE, UNKNOWN, unite } from "./facet-values.ts";

const many = Array.from({ length: 100 }, (_, n) => `value${n % 50}`);

describe("FacetValues", () => {
  test.each([
    { name: "few", values: ["a", "b"], has: "b", lacks: "c" },
    { name: "many", values: many, has: "value49", lacks: "value50" },
    { name: "none", values: [], has: undefined, lacks: "" },
  ])("$name", ({ values, has, lacks }) => {
    const found = complete(values);
    if (has !== undefined) expect(found.has(has)).toBe(true);
    expect(found.has(lacks)).toBe(false);
  });

  test("each of many is there once, in the order they came", () => {
    expect(complete(many).values).toEqual(many.slice(0, 50));
  });
});

describe("unite()", () => {
  test.each([
    { name: "nothing", all: [], want: NONE },
    { name: "one", all: [complete(["a"])], want: complete(["a"]) },
    {
      name: "two that share a value",
      all: [complete(["a"]), complete(["b", "a"])],
      want: complete(["a", "b"]),
    },
    { name: "one that may have more", all: [complete(["a"]), UNKNOWN], want: new FacetValues(["a"], false) },
    { name: "nothing and what is unknown", all: [NONE, UNKNOWN], want: UNKNOWN },
  ])("$name", ({ all, want }) => {
    const { values, complete: known } = unite(all);
    expect({ values, known }).toEqual({ values: want.values, known: want.complete });
  });
});
