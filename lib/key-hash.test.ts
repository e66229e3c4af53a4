import { expect, test } from "vitest";
import { keyHash, walk } from "./key-hash.ts";

test.each([
  { name: "keyHash()", hash: keyHash },
  { name: "walk() with another factor", hash: (key: string, seed: number) => walk(key, seed, 0x85ebca6b) },
])("$name: keys that meet under one seed do not meet under others with the same low bits", ({ hash }) => {
  const before = new Map<number, string>();
  const pairs: [string, string][] = [];
  for (let n = 0; pairs.length < 8; n += 1) {
    const key = `Delivery internet ${(n * 7_919_993).toString(36)}.example`;
    const other = before.get(hash(key, 5));
    if (other === undefined) before.set(hash(key, 5), key);
    else pairs.push([other, key]);
  }
  const seeds = Array.from({ length: 1000 }, (_, n) => 5 + 128 * (n + 1));
  const meeting = pairs.flatMap(([a, b]) => seeds.filter((seed) => hash(a, seed) === hash(b, seed)));
  expect(meeting).toEqual([]);
});
