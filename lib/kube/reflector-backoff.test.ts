import { expect, test } from "vitest";
import { Backoff } from "./reflector-backoff.ts";

const options = { firstMs: 500, maxMs: 30_000, healthyMs: 60_000 };

test("rests double up to the longest, and begin anew after a healthy time only", () => {
  const backoff = new Backoff({ ...options, random: () => 1 });
  const rests = [0, 0, 0, 59_999, 0, 0, 0, 0, 60_000, 0].map((ranForMs) => backoff.next(ranForMs));
  expect(rests).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 500, 1000]);
});

test("dice take up to a quarter off", () => {
  expect(new Backoff({ ...options, random: () => 0 }).next(0)).toBe(375);
});
