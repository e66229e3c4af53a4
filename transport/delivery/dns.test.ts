import { afterEach, describe, expect, test } from "vitest";
import type { Clock } from "../../lib/clock.ts";
import { type DnsServer, type DnsZone, startDns } from "../../test/helpers/dns-server.ts";
import { systemResolver } from "./dns.ts";

let dns: DnsServer;
afterEach(() => dns.close());

const time = { now: 0 };
const clock: Clock = { now: () => time.now, sleep: async () => {} };

async function resolver(zone: DnsZone) {
  dns = await startDns(zone);
  return systemResolver([dns.server], clock);
}

describe("systemResolver()", () => {
  test("found, none, nxdomain and unknown are four things", async () => {
    const { mx, lookup } = await resolver({
      "a.example": { MX: [[10, "mx.example"]], A: ["192.0.2.1", "192.0.2.2"], AAAA: ["2001:db8::1"] },
      "b.example": { TXT: ["x"] },
      "c.example": "SERVFAIL",
      "d.example": "REFUSED",
    });
    expect(await mx("a.example")).toEqual({
      kind: "found",
      records: [{ exchange: "mx.example", preference: 10 }],
    });
    expect(await lookup("a.example", 4)).toEqual({ kind: "found", records: ["192.0.2.1", "192.0.2.2"] });
    expect(await lookup("a.example", 6)).toEqual({ kind: "found", records: ["2001:db8::1"] });
    expect(await mx("b.example")).toEqual({ kind: "none" });
    expect(await mx("nothing.example")).toEqual({ kind: "nxdomain" });
    expect(await mx("c.example")).toMatchObject({ kind: "unknown" });
    expect(await mx("d.example")).toMatchObject({ kind: "unknown" });
  });

  test("CNAMEs are followed", async () => {
    const { mx, lookup } = await resolver({
      "alias.example": { CNAME: "real.example" },
      "real.example": { MX: [[1, "mx.example"]], A: ["192.0.2.9"] },
    });
    expect(await mx("alias.example")).toMatchObject({ kind: "found" });
    expect(await lookup("alias.example", 4)).toMatchObject({ records: ["192.0.2.9"] });
  });

  test("an answer too long for UDP comes by TCP", async () => {
    const many = Array.from({ length: 60 }, (_, index): [number, string] => [
      index,
      `mail-host-${index}.example`,
    ]);
    const { mx } = await resolver({ "big.example": { MX: many } });
    const answer = await mx("big.example");
    expect(answer.kind === "found" && answer.records.length).toBe(60);
  });

  test("answers are kept for their TTL, failures for five seconds", async () => {
    time.now = 0;
    const { lookup, mx } = await resolver({
      "a.example": { A: ["192.0.2.1"], ttl: 100 },
      "c.example": "SERVFAIL",
    });
    await lookup("a.example", 4);
    time.now = 99_000;
    await lookup("a.example", 4);
    expect(dns.queries).toEqual(["A a.example"]);
    time.now = 101_000;
    await lookup("a.example", 4);
    expect(dns.queries).toHaveLength(2);
    await mx("c.example");
    const asked = dns.queries.length;
    await mx("c.example");
    expect(dns.queries).toHaveLength(asked);
    dns.zone["c.example"] = { MX: [[1, "mx.example"]] };
    time.now += 5001;
    expect(await mx("c.example")).toMatchObject({ kind: "found" });
  });

  test("look-ups that are under way are shared", async () => {
    const { mx } = await resolver({ "a.example": { MX: [[10, "mx.example"]] } });
    await Promise.all(Array.from({ length: 50 }, () => mx("a.example")));
    expect(dns.queries).toEqual(["MX a.example"]);
  });

  test("addresses() and texts(), as agents ask: [] for none, an error when it can't be known", async () => {
    const { addresses, texts } = await resolver({
      "a.example": { A: ["192.0.2.1"], AAAA: ["2001:db8::1"], TXT: ["v=spf1 -all", "x".repeat(300)] },
      "c.example": "SERVFAIL",
    });
    expect(await addresses("a.example")).toEqual(["192.0.2.1", "2001:db8::1"]);
    expect(await texts("a.example")).toEqual(["v=spf1 -all", "x".repeat(300)]);
    expect(await addresses("none.example")).toEqual([]);
    expect(await texts("none.example")).toEqual([]);
    await expect(addresses("c.example")).rejects.toThrow('Cannot look up "c.example"');
    await expect(texts("c.example")).rejects.toThrow("c.example");
  });
});
