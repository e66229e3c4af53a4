import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MessageRate, pressureDelayMs, SessionCounts, sourceOf } from "./limits.ts";

const limits = { connector: "a", maxInboundConnection: 3, maxInboundConnectionPerSource: 2 };

describe("SessionCounts", () => {
  test("one source is held to its own limit, the connector to its own", () => {
    const counts = new SessionCounts();
    const first = counts.admit(limits, "192.0.2.1");
    counts.admit(limits, "192.0.2.1");
    expect(counts.admit(limits, "192.0.2.1")).toMatchObject({ code: 421, status: "4.7.0" });
    counts.admit(limits, "192.0.2.2");
    expect(counts.admit(limits, "192.0.2.3")).toMatchObject({ code: 421, status: "4.3.2" });
    if ("release" in first) first.release();
    expect(counts.admit(limits, "192.0.2.3")).toHaveProperty("release");
  });

  test("a session released twice is counted off once", () => {
    const counts = new SessionCounts();
    const first = counts.admit(limits, "192.0.2.1");
    counts.admit(limits, "192.0.2.1");
    if ("release" in first) {
      first.release();
      first.release();
    }
    expect(counts.byConnector()).toEqual({ a: 1 });
  });

  test("nothing is remembered of connectors without sessions", () => {
    const counts = new SessionCounts();
    const place = counts.admit(limits, "192.0.2.1");
    if ("release" in place) place.release();
    expect(counts.byConnector()).toEqual({});
  });
});

describe("sourceOf()", () => {
  test.each([
    { name: "two IPv4 addresses are two sources", a: "192.0.2.1", b: "192.0.2.2", same: false },
    { name: "a mapped address is the IPv4 one", a: "192.0.2.1", b: "::ffff:192.0.2.1", same: true },
    { name: "one /64 is one source", a: "2001:db8:0:1::1", b: "2001:db8:0:1:ffff::2", same: true },
    { name: "two /64 are two", a: "2001:db8:0:1::1", b: "2001:db8:0:2::1", same: false },
  ])("$name", ({ a, b, same }) => {
    expect(sourceOf(a) === sourceOf(b)).toBe(same);
  });
});

describe("MessageRate", () => {
  test("within a minute the limit is exact", () => {
    const rate = new MessageRate();
    const answers = Array.from({ length: 7 }, (_, i) => rate.admit("k", 5, 60_000 + i));
    expect(answers).toEqual([true, true, true, true, true, false, false]);
  });

  test("the turn of the minute does not double the limit", () => {
    const rate = new MessageRate();
    for (let i = 0; i < 10; i++) rate.admit("k", 10, 119_000);
    expect(rate.admit("k", 10, 120_000)).toBe(false);
    expect(rate.admit("k", 10, 126_100)).toBe(true);
    expect(rate.admit("k", 10, 126_200)).toBe(false);
  });

  test("after two quiet minutes everything is forgotten", () => {
    const rate = new MessageRate();
    rate.admit("k", 1, 0);
    expect(rate.admit("k", 1, 30_000)).toBe(false);
    expect(rate.admit("k", 1, 120_000)).toBe(true);
  });

  test("a clock set back is not a reason to fail", () => {
    const rate = new MessageRate();
    rate.admit("k", 1, 600_000);
    expect(rate.admit("k", 1, 0)).toBe(true);
  });

  test("more keys than it may hold push out those longest unused", () => {
    const rate = new MessageRate(4);
    for (const key of ["a", "b", "a", "c", "a", "d", "a"]) rate.admit(key, 1, 0);
    expect(rate.size).toBeLessThanOrEqual(4);
    expect(rate.admit("a", 1, 0)).toBe(false);
    expect(rate.admit("b", 1, 0)).toBe(true);
  });

  test("a million keys stay a hundred thousand at most", () => {
    const rate = new MessageRate();
    for (let i = 0; i < 1_000_000; i++) rate.admit(`k${i}`, 1, 0);
    expect(rate.size).toBeLessThanOrEqual(100_000);
  });

  test("never more than twice the limit in any minute, and never more than the limit in a whole one", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 180_000 }), { maxLength: 200 }), (times) => {
        const rate = new MessageRate();
        const admitted = times.toSorted((a, b) => a - b).filter((time) => rate.admit("k", 5, time));
        for (const start of [0, 60_000, 120_000]) {
          expect(
            admitted.filter((time) => time >= start && time < start + 60_000).length,
          ).toBeLessThanOrEqual(5);
        }
        for (const start of admitted) {
          expect(admitted.filter((time) => time >= start && time < start + 60_000).length).toBeLessThan(10);
        }
      }),
    );
  });
});

describe("pressureDelayMs()", () => {
  test.each([
    { lastedMs: -5, want: 1000 },
    { lastedMs: 0, want: 1000 },
    { lastedMs: 5000, want: 2000 },
    { lastedMs: 45_000, want: 10_000 },
    { lastedMs: 1e9, want: 10_000 },
  ])("after $lastedMs ms MAIL waits $want ms", ({ lastedMs, want }) => {
    expect(pressureDelayMs(lastedMs)).toBe(want);
  });
});
