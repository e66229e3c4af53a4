import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SteadyMap } from "./steady-map.ts";

type Step = { readonly act: "set" | "delete" | "replace"; readonly key: number };

describe("a SteadyMap", () => {
  test("has what a Map has, in the same order, whatever comes and goes", () => {
    const acts = fc.constantFrom<Step["act"][]>("set", "delete", "replace");
    const steps = fc.array(fc.record({ act: acts, key: fc.nat(60) }), { maxLength: 400 });
    fc.assert(
      fc.property(steps, (all) => {
        const map = new SteadyMap<number>();
        const model = new Map<string, number>();
        for (const [at, step] of all.entries()) {
          play(step, at, map, model);
          expect([...map]).toEqual([...model]);
        }
        for (let key = 0; key <= 60; key += 1) {
          expect(map.get(`key ${key}`)).toBe(model.get(`key ${key}`));
          expect(map.has(`key ${key}`)).toBe(model.has(`key ${key}`));
        }
      }),
    );
  });

  test("grows to a hundred thousand entries, gives them all, and is as good as new when they are gone", () => {
    const map = new SteadyMap<number>();
    const keys = Array.from({ length: 100_000 }, (_, n) => `message ${n}`);
    for (const round of [1, 2]) {
      for (const [n, key] of keys.entries()) map.set(key, n * round);
      expect(map.size).toBe(keys.length);
      expect(keys.every((key, n) => map.get(key) === n * round)).toBe(true);
      expect([...map.keys()]).toEqual(keys);
      for (const key of keys) expect(map.delete(key)).toBe(true);
      expect([map.size, [...map]]).toEqual([0, []]);
    }
  });

  test("keeps a hundred entries in order while a hundred thousand come and go around them", () => {
    const map = new SteadyMap<number>();
    for (let n = 0; n < 100; n += 1) map.set(`kept ${n}`, n);
    for (let n = 0; n < 100_000; n += 1) {
      map.set(`passing ${n}`, n);
      if (n >= 2000) map.delete(`passing ${n - 2000}`);
    }
    expect([...map.values()].slice(0, 101)).toEqual([...Array.from({ length: 100 }, (_, n) => n), 98_000]);
    expect(map.size).toBe(2100);
    for (let n = 98_000; n < 100_000; n += 1) map.delete(`passing ${n}`);
    expect([...map.keys()]).toEqual(Array.from({ length: 100 }, (_, n) => `kept ${n}`));
  });

  test("can lose entries while it is iterated, the one at hand and those to come", () => {
    const map = new SteadyMap<number>();
    for (let n = 0; n < 10; n += 1) map.set(`${n}`, n);
    const seen: string[] = [];
    for (const key of map.keys()) {
      seen.push(key);
      map.delete(key);
      map.delete(`${Number(key) + 1}`);
    }
    expect(seen).toEqual(["0", "2", "4", "6", "8"]);
    expect(map.size).toBe(0);
  });

  test("knows the empty key again after others", () => {
    const map = new SteadyMap<number>();
    map.set("", 1);
    expect([map.get("other"), map.get("")]).toEqual([undefined, 1]);
  });

  test("is empty when it is cleared", () => {
    const map = new SteadyMap<number>();
    for (let n = 0; n < 5000; n += 1) map.set(`${n}`, n);
    map.clear();
    map.set("again", 1);
    expect([...map]).toEqual([["again", 1]]);
  });

  test("refers to nothing that was deleted", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const map = new SteadyMap<object>();
    const gone = Array.from({ length: 100 }, (_, n) => {
      const value = { n };
      map.set(`${n}`, value);
      return new WeakRef(value);
    });
    map.set("kept", {});
    for (let n = 0; n < 100; n += 1) map.delete(`${n}`);
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    expect(gone.filter((one) => one.deref() !== undefined)).toEqual([]);
    expect(map.size).toBe(1);
  });
});

function play({ act, key }: Step, at: number, map: SteadyMap<number>, model: Map<string, number>): void {
  const name = `key ${key}`;
  if (act === "delete") {
    expect(map.delete(name)).toBe(model.delete(name));
  } else if (act === "set" || model.has(name)) {
    map.set(name, at);
    model.set(name, at);
  }
  expect(map.size).toBe(model.size);
}
