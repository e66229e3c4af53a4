import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type FailedJob, HopWindow } from "./concurrency.ts";

const MINUTE = 60_000;

function failed(startedAt: number, random = 0, retryIntervalsMs: readonly number[] = []): FailedJob {
  return { startedAt, random, retryIntervalsMs };
}

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
    expect(window.failed(100, failed(5))).toBeUndefined();
    expect(window.slots(100, 20)).toBe(8);
  });

  test("a failure with no success since it began rests the next hop for a minute", () => {
    const window = new HopWindow();
    expect(window.failed(1000, failed(500))).toBe(1000 + MINUTE);
    expect(window.slots(1000 + MINUTE - 1, 20)).toBe(0);
    expect(window.slots(1000 + MINUTE, 20)).toBe(2);
  });

  test("jobs that were under way together count as one failure", () => {
    const window = new HopWindow();
    const until = window.failed(1000, failed(500));
    expect(window.failed(1200, failed(600))).toBe(until);
    expect(window.slots(1000 + MINUTE, 20)).toBe(2);
  });

  test("the rest doubles with each failure and stops at half an hour", () => {
    const window = new HopWindow();
    let now = 0;
    const rests: number[] = [];
    for (let failure = 0; failure < 8; failure += 1) {
      const until = window.failed(now + 2, failed(now + 1)) ?? 0;
      rests.push((until - now - 2) / MINUTE);
      now = until + 1;
    }
    expect(rests).toEqual([1, 2, 4, 8, 16, 30, 30, 30]);
  });

  test.each([
    {
      name: "shorter ones are followed, the last one for ever",
      minutes: [0.1, 0.5, 0.5],
      want: [0.1, 0.5, 0.5, 0.5],
    },
    { name: "longer ones are not waited for", minutes: [5, 10, 60], want: [1, 2, 4, 8] },
    { name: "each for its own failure", minutes: [0.5, 10], want: [0.5, 2, 4, 8] },
  ])("retry intervals: $name", ({ minutes, want }) => {
    const window = new HopWindow();
    const intervals = minutes.map((interval) => interval * MINUTE);
    let now = 0;
    const rests = want.map(() => {
      const until = window.failed(now + 2, failed(now + 1, 0, intervals)) ?? 0;
      const rest = (until - now - 2) / MINUTE;
      now = until + 1;
      return rest;
    });
    expect(rests).toEqual(want);
  });

  test("two jobs try a next hop after its rest, and it is at full width some rounds later", () => {
    const window = new HopWindow();
    for (let job = 0; job < 60; job += 1) window.succeeded(job, 50);
    const end = window.failed(1000, failed(900)) ?? 0;
    const rounds = [];
    for (let slots = window.slots(end, 50); slots < 50; slots = window.slots(end, 50)) {
      rounds.push(slots);
      for (let job = 0; job < slots; job += 1) window.succeeded(end, 50);
    }
    expect(rounds).toEqual([2, 4, 8, 16, 32]);
  });

  test("jitter adds at most a fifth", () => {
    expect(new HopWindow().failed(0, failed(-1, 1))).toBe(1.2 * MINUTE);
  });

  test("reset ends the rest and forgets the failures", () => {
    const window = new HopWindow();
    window.failed(10, failed(5));
    window.reset(11);
    expect(window.slots(11, 20)).toBe(5);
    expect(window.failed(20, failed(15))).toBe(20 + MINUTE);
  });

  test("what began before a reset and fails after it asks for no rest", () => {
    const window = new HopWindow();
    window.reset(11);
    expect(window.failed(20, failed(10))).toBeUndefined();
    expect(window.slots(20, 20)).toBe(5);
  });

  test("slots are never negative nor above the maximum, whatever happens", () => {
    type Event = (window: HopWindow, now: number, max: number) => void;
    const event = fc.constantFrom<Event[]>(
      (window) => window.begin(),
      (window) => window.running > 0 && window.end(),
      (window, now, max) => window.succeeded(now, max),
      (window, now) => window.failed(now, failed(now - 10, 0.5)),
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
