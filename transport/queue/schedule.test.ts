import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { delayNoticeIsDue, hasExpired, nextAttempt } from "./schedule.ts";

const MINUTE = 60_000;
const retryIntervalsMs = [MINUTE, 5 * MINUTE, 15 * MINUTE];
const retry = { now: 1000, retryIntervalsMs, expiresAt: 1e9 };

describe("nextAttempt()", () => {
  test.each([
    { name: "the first failure waits the first interval", with: { attempts: 1 }, want: 1000 + MINUTE },
    { name: "the second failure waits the second", with: { attempts: 2 }, want: 1000 + 5 * MINUTE },
    { name: "the last interval repeats", with: { attempts: 99 }, want: 1000 + 15 * MINUTE },
    { name: "no attempt yet counts as the first", with: { attempts: 0 }, want: 1000 + MINUTE },
    { name: "jitter 0 waits a tenth less", with: { attempts: 1, jitter: 0 }, want: 1000 + 0.9 * MINUTE },
    { name: "jitter 1 waits a tenth more", with: { attempts: 1, jitter: 1 }, want: 1000 + 1.1 * MINUTE },
    { name: "a message falls due when it expires", with: { attempts: 1, expiresAt: 5000 }, want: 5000 },
    { name: "an expired message is due now", with: { attempts: 1, expiresAt: 500 }, want: 1000 },
    {
      name: "without intervals it waits for its expiry",
      with: { attempts: 1, retryIntervalsMs: [] },
      want: 1e9,
    },
  ])("$name", ({ with: changed, want }) => {
    expect(nextAttempt({ ...retry, ...changed })).toBe(want);
  });

  test("is never before now, and never past the expiry unless that is past", () => {
    const nat = fc.nat(1e9);
    fc.assert(
      fc.property(
        nat,
        nat,
        nat,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (attempts, now, expiresAt, jitter) => {
          const at = nextAttempt({ attempts, now, retryIntervalsMs, expiresAt, jitter });
          return at >= now && at <= Math.max(now, expiresAt);
        },
      ),
    );
  });
});

describe("hasExpired()", () => {
  test.each([
    { name: "before the time it has not", now: 9, want: false },
    { name: "at the time it has", now: 10, want: true },
  ])("$name", ({ now, want }) => {
    expect(hasExpired(10, now)).toBe(want);
  });
});

describe("delayNoticeIsDue()", () => {
  const message = { receivedAt: 1000, now: 1000 + MINUTE, delayNotificationMs: MINUTE, delayNotified: false };
  test.each([
    { name: "it is due when the time is over", with: {}, want: true },
    { name: "not before", with: { now: 999 + MINUTE }, want: false },
    { name: "not twice", with: { delayNotified: true }, want: false },
    { name: "never with 0", with: { delayNotificationMs: 0, now: 1e12 }, want: false },
  ])("$name", ({ with: changed, want }) => {
    expect(delayNoticeIsDue({ ...message, ...changed })).toBe(want);
  });
});
