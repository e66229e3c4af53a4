import { expect, test } from "vitest";
import { FreshBodies } from "./fresh-bodies.ts";

const MEGABYTE = 1024 * 1024;

test("16 MiB are kept; the oldest is pushed out, and what was let go makes room", () => {
  const fresh = new FreshBodies();
  const add = (name: string) => fresh.add(name, [Buffer.alloc(MEGABYTE)], MEGABYTE);
  const names = Array.from({ length: 16 }, (_, n) => `m${n}`);
  for (const name of names) add(name);
  fresh.delete("m5");
  fresh.delete("m5");
  add("new");
  expect(fresh.get("m0")).toBeDefined();
  add("newer");
  expect(names.filter((name) => fresh.get(name) === undefined)).toEqual(["m0", "m5"]);
  expect(fresh.get("new")).toBeDefined();
});

test("a small piece of a large buffer does not keep the buffer", () => {
  const fresh = new FreshBodies();
  fresh.add("m", [Buffer.alloc(MEGABYTE, "x").subarray(0, 40_000)], 40_000);
  const [piece] = fresh.get("m") ?? [];
  expect(piece?.buffer.byteLength).toBeLessThan(80_000);
  expect(piece).toEqual(Buffer.alloc(40_000, "x"));
});
