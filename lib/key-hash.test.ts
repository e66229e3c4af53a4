import { expect, test } from "vitest";
import { keyHash } from "./key-hash.ts";

test("keys that meet under one seed do not meet under others, though their low bits be the same", () => {
  const before = new Map<number, string>();
  const pairs: [string, string][] = [];
  for (let n = 0; pairs.length < 8; n += 1) {
    const key = `Delivery internet ${(n * 7_919_993).toString(36)}.example`;
    const other = before.get(keyHash(key, 5));
    if (other === undefined) before.set(keyHash(key, 5), key);
    else pairs.push([other, key]);
  }
  const seeds = Array.from({ length: 1000 }, (_, n) => 5 + 128 * (n + 1));
  const meeting = pairs.flatMap(([a, b]) => seeds.filter((seed) => keyHash(a, seed) === keyHash(b, seed)));
  expect(meeting).toEqual([]);
});
