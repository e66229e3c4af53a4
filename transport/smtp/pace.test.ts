import { describe, expect, test } from "vitest";
import { Pace, type PaceLimits } from "./pace.ts";

const limits: PaceLimits = {
  connectionInactivityTimeoutMs: 300_000,
  connectionTimeoutMs: 600_000,
  minDataRate: 500,
};

describe("Pace", () => {
  test("a client that says nothing is idle after the timeout, not before", () => {
    const pace = new Pace(0);
    expect(pace.judge(299_999, limits, false)).toBeUndefined();
    expect(pace.judge(300_000, limits, false)).toBe("idle");
  });

  test("nobody is idle while we work", () => {
    const pace = new Pace(0);
    pace.work(1, 10);
    expect(pace.judge(10_000_000, limits, false)).toBeUndefined();
    pace.wait(10_000_000);
    expect(pace.judge(10_299_999, { ...limits, connectionTimeoutMs: 1e12 }, false)).toBeUndefined();
    expect(pace.judge(10_300_000, limits, false)).toBe("idle");
  });

  test("a session that only talks is too long; one with a transaction may go on for as long again", () => {
    const pace = new Pace(0);
    for (let now = 1000; now <= 600_000; now += 1000) {
      pace.work(now, 6);
      pace.wait(now);
    }
    expect(pace.judge(600_000, limits, false)).toBe("long");
    expect(pace.judge(600_000, limits, true)).toBeUndefined();
    pace.work(1_199_000, 6);
    pace.wait(1_199_000);
    expect(pace.judge(1_200_000, limits, true)).toBe("long");
  });

  test.each([
    { name: "499 octets a second are too slow", octetsPerSecond: 499, want: "slow" },
    { name: "500 octets a second are not", octetsPerSecond: 500, want: undefined },
  ])("$name", ({ octetsPerSecond, want }) => {
    const pace = new Pace(0);
    pace.content(true);
    let verdict: string | undefined;
    for (let now = 1000; now <= 200_000 && verdict === undefined; now += 1000) {
      pace.work(now, octetsPerSecond);
      pace.wait(now);
      verdict = pace.judge(now, limits, true);
    }
    expect(verdict).toBe(want);
  });

  test("our own time does not count against the rate", () => {
    const pace = new Pace(0);
    pace.content(true);
    for (let now = 0; now < 600_000; now += 10_000) {
      pace.work(now, 500); // came within a second of waiting
      pace.wait(now + 9_000); // and we took nine
      expect(pace.judge(now + 9_999, limits, true)).toBeUndefined();
    }
  });

  test("a burst in an earlier minute does not pay for a later one", () => {
    const pace = new Pace(0);
    pace.content(true);
    pace.work(1000, 10_000_000);
    pace.wait(1000);
    expect(pace.judge(60_000, limits, true)).toBeUndefined();
    expect(pace.judge(121_000, limits, true)).toBe("slow");
  });

  test("a rate of 0 is no rate, and commands have none", () => {
    const pace = new Pace(0);
    expect(pace.judge(120_000, limits, true)).toBeUndefined();
    pace.content(true);
    expect(pace.judge(240_000, { ...limits, minDataRate: 0 }, true)).toBeUndefined();
  });

  test("the next check comes when something may be due, and at least every ten seconds", () => {
    const pace = new Pace(0);
    expect(pace.nextCheckMs(0, limits)).toBe(10_000);
    expect(pace.nextCheckMs(295_000, limits)).toBe(5_000);
    expect(pace.nextCheckMs(0, { ...limits, connectionTimeoutMs: 700 })).toBe(700);
    expect(pace.nextCheckMs(400_000, limits)).toBe(1);
  });
});
