import { describe, expect, test } from "vitest";
import { createFakeClock } from "../../test/helpers/fake-clock.ts";
import { Watch, type Watched } from "./watch.ts";

interface Seen extends Watched {
  readonly at: number[];
}

/** Someone whose time comes once, `dueMs` after the clock's start. */
function someone(dueMs: number, start: number): Seen {
  const at: number[] = [];
  return {
    at,
    look(now) {
      const left = start + dueMs - now;
      if (left <= 0 && at.length === 0) at.push(now - start);
      return left > 0 ? left : Number.POSITIVE_INFINITY;
    },
  };
}

describe("Watch", () => {
  test("one whose time comes is looked at to the millisecond", async () => {
    const clock = createFakeClock();
    const watch = new Watch(clock);
    const seen = someone(299_999, clock.now());
    watch.add(seen);
    await clock.advance(299_998);
    expect(seen.at).toEqual([]);
    await clock.advance(1);
    expect(seen.at).toEqual([299_999]);
    watch.close();
  });

  test("many take one timer, and none is looked at more than a quarter of a second late", async () => {
    const clock = createFakeClock();
    const watch = new Watch(clock);
    const all = Array.from({ length: 1000 }, (_, n) => someone(1000 + n * 7, clock.now()));
    for (const one of all) watch.add(one);
    expect(clock.sleepers()).toBe(1);
    await clock.advance(9000);
    for (const [n, one] of all.entries()) {
      expect(one.at.length).toBe(1);
      expect((one.at[0] ?? 0) - 1000 - n * 7).toBeLessThanOrEqual(250);
    }
    watch.close();
  });

  test("one who comes late and is due soon waits no longer than a second", async () => {
    const clock = createFakeClock();
    const watch = new Watch(clock);
    watch.add(someone(60_000, clock.now()));
    await clock.advance(100);
    const late = someone(10, clock.now());
    watch.add(late);
    await clock.advance(1000);
    expect(late.at.length).toBe(1);
    watch.close();
  });

  test("nobody left, no timer; and again one when somebody comes", async () => {
    const clock = createFakeClock();
    const watch = new Watch(clock);
    const seen = someone(2000, clock.now());
    watch.remove(watch.add(seen));
    await clock.advance(1000);
    expect(clock.sleepers()).toBe(0);
    watch.add(seen);
    await clock.advance(1000);
    expect(seen.at).toEqual([2000]);
    watch.close();
    await clock.advance(0);
    expect(clock.sleepers()).toBe(0);
  });
});
