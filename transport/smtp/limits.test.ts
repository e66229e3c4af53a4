import { describe, expect, test } from "vitest";
import { createCounts } from "../../lib/counts.ts";
import { allocateCounts, createSharedCounts } from "../../lib/shared-counts.ts";
import { pressureDelayMs, SessionCounts, sourceOf } from "./limits.ts";

const limits = { maxInboundConnection: 3, maxInboundConnectionPerSource: 2 };

describe("SessionCounts", () => {
  test("one source is held to its own limit, the connector to its own", () => {
    const counts = new SessionCounts(createCounts());
    const first = counts.admit("a", limits, "192.0.2.1");
    counts.admit("a", limits, "192.0.2.1");
    expect(counts.admit("a", limits, "192.0.2.1")).toMatchObject({ code: 421, status: "4.7.0" });
    counts.admit("a", limits, "192.0.2.2");
    expect(counts.admit("a", limits, "192.0.2.3")).toMatchObject({ code: 421, status: "4.3.2" });
    if ("release" in first) first.release();
    expect(counts.admit("a", limits, "192.0.2.3")).toHaveProperty("release");
  });

  test("a session released twice is counted off once", () => {
    const counts = new SessionCounts(createCounts());
    const first = counts.admit("a", limits, "192.0.2.1");
    counts.admit("a", limits, "192.0.2.1");
    if ("release" in first) {
      first.release();
      first.release();
    }
    expect(counts.byConnector()).toEqual({ a: 1 });
  });

  test("nothing is remembered of connectors without sessions", () => {
    const counts = new SessionCounts(createCounts());
    const place = counts.admit("a", limits, "192.0.2.1");
    if ("release" in place) place.release();
    expect(counts.byConnector()).toEqual({});
  });

  test("connections have places up to the limit, and again when one is released, once", () => {
    const counts = new SessionCounts(createCounts());
    const first = counts.admitConnection(2);
    counts.admitConnection(2);
    expect(counts.admitConnection(2)).toBeUndefined();
    first?.release();
    first?.release();
    expect(counts.admitConnection(2)).toBeDefined();
    expect(counts.admitConnection(2)).toBeUndefined();
  });

  test("who shares the counts shares the limits; what is one's own is told apart", () => {
    const memory = allocateCounts(16);
    const [here, there] = [0, 1].map(() => new SessionCounts(createSharedCounts(memory))) as [
      SessionCounts,
      SessionCounts,
    ];
    const place = here.admit("a", limits, "192.0.2.1");
    there.admit("a", limits, "192.0.2.1");
    expect(there.admit("a", limits, "192.0.2.1")).toMatchObject({ code: 421, status: "4.7.0" });
    expect([here.byConnector(), there.byConnector()]).toEqual([{ a: 1 }, { a: 1 }]);
    if ("release" in place) place.release();
    expect(there.admit("a", limits, "192.0.2.1")).toHaveProperty("release");
    expect(here.byConnector()).toEqual({});
  });

  test("a source that is refused takes no place of its connector", () => {
    const counts = new SessionCounts(createCounts());
    for (let n = 0; n < 5; n++) counts.admit("a", limits, "192.0.2.1");
    expect(counts.admit("a", limits, "192.0.2.2")).toHaveProperty("release");
    expect(counts.admit("a", limits, "192.0.2.3")).toMatchObject({ status: "4.3.2" });
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
