import { describe, expect, test } from "vitest";
import { isSteady, medianOf, messagesFor, spreadOf } from "./statistics.ts";

describe("spreadOf()", () => {
  test("the order of the values does not matter", () =>
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, least: 1, most: 3 }));
  test("no values have none", () => expect(spreadOf([])).toBeUndefined());
});

describe("medianOf()", () => {
  test("of an even number it is the mean of the middle two", () => expect(medianOf([10, 1, 2, 4])).toBe(3));
  test("one that is far off does not move it", () => expect(medianOf([100, 101, 102, 103, 1])).toBe(101));
});

describe("isSteady()", () => {
  test.each([
    { name: "one rate says nothing", rates: [100], want: false },
    { name: "ten percent more is steady", rates: [50, 100, 110], want: true },
    { name: "eleven percent more is not", rates: [100, 111], want: false },
    { name: "nor is eleven percent less", rates: [100, 89], want: false },
  ])("$name", ({ rates, want }) => expect(isSteady(rates, 0.1)).toBe(want));
});

describe("messagesFor()", () => {
  test.each([
    { name: "two digits are enough", rate: 1234, seconds: 3, clients: 50, want: 3800 },
    { name: "each client has one at least", rate: 20, seconds: 3, clients: 500, want: 500 },
    { name: "a slow peer gets few", rate: 5, seconds: 3, clients: 1, want: 15 },
    { name: "never fewer than ten", rate: 1, seconds: 3, clients: 1, want: 10 },
  ])("$name", ({ rate, seconds, clients, want }) => expect(messagesFor(rate, seconds, clients)).toBe(want));
});
