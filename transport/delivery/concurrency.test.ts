import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HopWindow } from "./concurrency.ts";

const MINUTE = 60_000;

describe("HopWindow", () => {
  test("five jobs may begin at first, fewer when the connector allows fewer", () => {
    expect(new HopWindow().slots(0, 20)).toBe(5);
    expect(new HopWindow().slots(0, 2)).toBe(2);
  });

  test("running jobs take their slots until they end", () => {
    const window = new HopWindow();
    window.begin();
    window.begin();
    expect(window.slots(0, 20)).toBe(3);
    window.end();
    expect(window.slots(0, 20)).toBe(4);
  });

  test("each success opens one slot more, up to the connector's maximum", () => {
    const window = new HopWindow();
    for (let job = 0; job < 3; job += 1) window.succeeded(job, 20);
    expect(window.slots(10, 20)).toBe(8);
    for (let job = 0; job < 30; job += 1) window.succeeded(job, 20);
    expect(window.slots(40, 20)).toBe(20);
  });

  test("a failure after others succeeded only halves the window", () => {
    const window = new HopWindow();
    for (let job = 0; job < 11; job += 1) window.succeeded(job, 20);
    expect(window.failed(100, 5, 0)).toBeUndefined();
    expect(window.slots(100, 20)).toBe(8);
  });

  test("a failure with no success since it began rests the next hop for a minute", () => {
    const window = new HopWindow();
    expect(window.failed(1000, 500, 0)).toBe(1000 + MINUTE);
    expect(window.slots(1000 + MINUTE - 1, 20)).toBe(0);
    expect(window.slots(1000 + MINUTE, 20)).toBe(2);
  });

  test("jobs that were under way together count as one failure", () => {
    const window = new HopWindow();
    const until = window.failed(1000, 500, 0);
    expect(window.failed(1200, 600, 0)).toBe(until);
    expect(window.slots(1000 + MINUTE, 20)).toBe(2);
  });

  test("the rest doubles with each failure and stops at half an hour", () => {
    const window = new HopWindow();
    let now = 0;
    const rests: number[] = [];
    for (let failure = 0; failure < 8; failure += 1) {
      const until = window.failed(now + 2, now + 1, 0) ?? 0;
      rests.push((until - now - 2) / MINUTE);
      now = until + 1;
    }
    expect(rests).toEqual([1, 2, 4, 8, 16, 30, 30, 30]);
  });

  test("jitter adds at most a fifth", () => {
    expect(new HopWindow().failed(0, -1, 1)).toBe(1.2 * MINUTE);
  });

  test("reset ends the rest and forgets the failures", () => {
    const window = new HopWindow();
    window.failed(10, 5, 0);
    window.reset();
    expect(window.slots(11, 20)).toBe(5);
    expect(window.failed(20, 15, 0)).toBe(20 + MINUTE);
  });

  test("slots are never negative nor above the maximum, whatever happens", () => {
    type Event = (window: HopWindow, now: number, max: number) => void;
    const event = fc.constantFrom<Event[]>(
      (window) => window.begin(),
      (window) => window.running > 0 && window.end(),
      (window, now, max) => window.succeeded(now, max),
      (window, now) => window.failed(now, now - 10, 0.5),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), fc.integer({ min: 1, max: 30 }), (events, max) => {
        const window = new HopWindow();
        for (const [index, apply] of events.entries()) {
          const now = index * 1000;
          apply(window, now, max);
          expect(window.slots(now, max)).toBeGreaterThanOrEqual(0);
          expect(window.slots(now, max)).toBeLessThanOrEqual(max);
        }
      }),
    );
  });
});
