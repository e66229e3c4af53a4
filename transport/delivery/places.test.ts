/** Limits that threads share: one set of counts stands for theirs, as shared-counts.test.ts shows. */
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { type Counts, createCounts } from "../../lib/counts.ts";
import { Places, type PlacesOptions } from "./places.ts";

const open: Places[] = [];
afterEach(() => {
  for (const places of open.splice(0)) places.stop();
});

const time = { now: 0 };

function thread(counts: Counts | undefined, options: Partial<PlacesOptions> = {}): Places {
  const places = new Places({
    counts,
    clock: { now: () => time.now, sleep: (ms) => delay(ms) },
    random: () => 0.5,
    most: () => 100,
    evict: () => false,
    letGo: () => {},
    ...options,
  });
  open.push(places);
  return places;
}

describe("Places", () => {
  test("a next hop's connections are never more than its limit, whoever asks", () => {
    const counts = createCounts();
    const [one, two] = [thread(counts), thread(counts)];
    expect(one.take("a", 3, 2)).toBe(2);
    expect(two.take("a", 3, 5)).toBe(1);
    expect(one.take("a", 3, 1)).toBe(0);
    expect(two.take("b", 3, 5), "another next hop has places of its own").toBe(3);
  });

  test("all connections are never more than the transport's", () => {
    const counts = createCounts();
    const [one, two] = [thread(counts, { most: () => 4 }), thread(counts, { most: () => 4 })];
    expect(one.take("a", 3, 3)).toBe(3);
    expect(two.take("b", 3, 3)).toBe(1);
    expect([one.room, two.room]).toEqual([3, 1]);
    one.give("a", 3);
    expect(two.take("b", 3, 3)).toBe(2);
  });

  test("who gets none because others have them all asks again soon", () => {
    const counts = createCounts();
    const [one, two] = [thread(counts), thread(counts)];
    one.take("a", 1, 1);
    expect(two.take("a", 1, 1)).toBe(0);
    expect((two.askAgainAt("a") ?? 0) - time.now).toBeGreaterThanOrEqual(20);
    expect((two.askAgainAt("a") ?? 0) - time.now).toBeLessThanOrEqual(50);
    one.give("a", 1);
    expect(two.take("a", 1, 1)).toBe(1);
    expect(two.askAgainAt("a")).toBeUndefined();
  });

  test("who has them all itself is woken when a job ends", () => {
    const one = thread(createCounts());
    one.take("a", 1, 1);
    expect(one.take("a", 1, 1)).toBe(0);
    expect(one.askAgainAt("a")).toBeUndefined();
  });

  test("a connection that is kept keeps its place for the next job", () => {
    const counts = createCounts();
    const [one, two] = [thread(counts), thread(counts)];
    one.take("a", 1, 1);
    one.opened("a");
    one.give("a", 1);
    expect(two.take("a", 1, 1)).toBe(0);
    expect(one.take("a", 1, 1)).toBe(1);
    expect(one.isShort("a"), "a second connection would be one too many").toBe(true);
    one.closed("a");
    one.give("a", 1);
    expect(two.take("a", 1, 1)).toBe(1);
  });

  test("when all places are taken, a connection that idles gives its own for another next hop", () => {
    const one: Places = thread(undefined, {
      most: () => 1,
      evict: (isFree) => {
        if (!isFree("a")) return false;
        one.closed("a");
        return true;
      },
    });
    one.take("a", 5, 1);
    one.opened("a");
    expect(one.take("b", 5, 1), "it is in use").toBe(0);
    one.give("a", 1);
    expect(one.take("b", 5, 1)).toBe(1);
  });

  test("connections idle for nobody while others wait", async () => {
    const counts = createCounts();
    const one: Places = thread(counts, { letGo: () => one.closed("a") });
    const two = thread(counts);
    one.take("a", 1, 1);
    one.opened("a");
    one.give("a", 1);
    expect(two.take("a", 1, 1)).toBe(0);
    await expect.poll(() => two.take("a", 1, 1)).toBe(1);
  });

  test("after a turn the place of a job that ends is left to who waits, and none is left to nobody", () => {
    const counts = createCounts();
    const [one, two] = [thread(counts), thread(counts)];
    one.take("a", 1, 1);
    two.take("a", 1, 1);
    one.give("a", 1);
    expect(one.take("a", 1, 1), "within its turn").toBe(1);
    time.now += 100;
    one.give("a", 1);
    expect(one.take("a", 1, 1), "after its turn").toBe(0);
    expect((one.askAgainAt("a") ?? 0) - time.now).toBe(60);
    expect(two.take("a", 1, 1)).toBe(1);
    two.give("a", 1);
    time.now += 60;
    expect(one.take("a", 1, 1)).toBe(1);
  });

  test("who has no more than its share gives no way", () => {
    const counts = createCounts();
    const [one, two] = [thread(counts), thread(counts)];
    one.take("a", 4, 4);
    two.take("a", 4, 1);
    one.take("a", 4, 1);
    time.now += 100;
    one.give("a", 3);
    expect(one.take("a", 4, 3)).toBe(3);
  });

  test("whatever happens, limits hold, and nothing is left when all is over", () => {
    const step = fc.record({
      who: fc.integer({ min: 0, max: 2 }),
      key: fc.constantFrom<Key[]>("a", "b"),
      what: fc.constantFrom("take" as const, "give" as const, "open" as const, "close" as const),
      wanted: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const counts = createCounts();
        const actors = [0, 1, 2].map(() => actor(thread(counts, { most: () => 5 })));
        const used = (key: Key) => actors.reduce((sum, one) => sum + one.used(key), 0);
        for (const { who, key, what, wanted } of steps) {
          time.now += 30;
          actors[who]?.[what](key, wanted);
          expect(used("a")).toBeLessThanOrEqual(3);
          expect(used("b")).toBeLessThanOrEqual(3);
          expect(used("a") + used("b")).toBeLessThanOrEqual(5);
          expect(counts.taken("connections out")).toBe(used("a") + used("b"));
        }
        for (const one of actors) one.end();
        expect(counts.taken("connections out")).toBe(0);
        expect(counts.taken("connections out to a, awaited")).toBe(0);
      }),
    );
  });
});

type Key = "a" | "b";

/** Takes no more than it may, three connections a next hop, and knows what it has. */
function actor(places: Places) {
  const mine = { a: { jobs: 0, connections: 0 }, b: { jobs: 0, connections: 0 } };
  const one = {
    used: (key: Key) => Math.max(mine[key].jobs, mine[key].connections),
    take(key: Key, wanted: number) {
      mine[key].jobs += places.take(key, 3, wanted);
    },
    give(key: Key) {
      if (mine[key].jobs === 0) return;
      mine[key].jobs -= 1;
      places.give(key, 1);
    },
    open(key: Key) {
      if (mine[key].jobs === 0 || places.isShort(key)) return;
      mine[key].connections += 1;
      places.opened(key);
    },
    close(key: Key) {
      if (mine[key].connections === 0) return;
      mine[key].connections -= 1;
      places.closed(key);
    },
    end() {
      for (const key of ["a", "b"] as const) {
        while (mine[key].jobs > 0) one.give(key);
        while (mine[key].connections > 0) one.close(key);
      }
      places.stop();
    },
  };
  return one;
}
