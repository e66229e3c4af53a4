import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseIp, parseIpRange, rangeContains, rangeSize } from "../../mail/ip-range.ts";
import type { ReceiveConnectorEntry } from "../../snapshot/schema.ts";
import { receiveConnector } from "../../test/helpers/receive-connector.ts";
import { createConnectorTable } from "./binding.ts";
import { findConnector, selectConnector } from "./connector.ts";

function connector(name: string, remoteIPRanges: string[], more: Partial<ReceiveConnectorEntry> = {}) {
  return receiveConnector({ name, remoteIPRanges, bindings: [{ port: 25 }], ...more });
}
const local = { address: "192.0.2.1", port: 25 };
const tableOf = (...connectors: ReceiveConnectorEntry[]) => createConnectorTable(connectors);

describe("findConnector()", () => {
  const table = tableOf(
    connector("world", ["0.0.0.0/0", "::/0"]),
    connector("office", ["10.0.0.0/8", "2001:db8::/32"]),
    connector("printer", ["10.0.0.7"]),
    connector("span", ["10.0.0.5-10.0.0.9"]),
    connector("twin", ["10.0.0.7"]),
    connector("own address", ["10.0.0.0/8"], { bindings: [{ address: "192.0.2.9", port: 25 }] }),
    connector("ipv4 only", ["10.9.9.9"], { bindings: [{ address: "0.0.0.0", port: 25 }] }),
    connector("other port", ["10.0.0.7"], { bindings: [{ port: 587 }] }),
  );
  test.each([
    { name: "a client of no narrower range falls to the widest", client: "203.0.113.1", want: "world" },
    { name: "a narrower range beats a wider one", client: "10.1.1.1", want: "office" },
    { name: "a first-last range beats the CIDR around it", client: "10.0.0.9", want: "span" },
    {
      name: "a single address beats all, and of equal ranges the earlier wins",
      client: "10.0.0.7",
      want: "printer",
    },
    { name: "an IPv4-mapped client counts as IPv4", client: "::ffff:10.0.0.5", want: "span" },
    { name: "an IPv6 client is held by IPv6 ranges only", client: "2001:db8::1", want: "office" },
    { name: "the last address of a range is inside", client: "10.255.255.255", want: "office" },
    { name: "the address after a range is outside", client: "11.0.0.0", want: "world" },
    { name: "an address that is none has no connector", client: "bogus", want: undefined },
    { name: "a binding for IPv4 goes before every address", client: "10.9.9.9", want: "ipv4 only" },
  ])("$name", ({ client, want }) => {
    expect(findConnector(table, local, client)?.connector.name).toBe(want);
  });

  test("a binding with the address reached goes first, and every address takes whom it does not hold", () => {
    const own = { address: "::ffff:192.0.2.9", port: 25 };
    expect(findConnector(table, own, "10.0.0.7")?.connector.name).toBe("own address");
    expect(findConnector(table, own, "203.0.113.1")?.connector.name).toBe("world");
  });

  test("a port nobody binds has no connector", () => {
    expect(findConnector(table, { address: "192.0.2.1", port: 26 }, "10.0.0.7")).toBeUndefined();
  });

  test("for any ranges and any client the index agrees with looking at each range", () => {
    const octet = fc.integer({ min: 0, max: 255 });
    const address = fc.tuple(octet, octet).map(([a, b]) => `10.0.${a}.${b}`);
    const range = fc.oneof(
      address,
      fc.tuple(address, fc.integer({ min: 8, max: 32 })).map(([ip, bits]) => `${ip}/${bits}`),
      fc.tuple(address, address).map(([a, b]) => (parseIpRange(`${a}-${b}`) ? `${a}-${b}` : `${b}-${a}`)),
    );
    fc.assert(
      fc.property(fc.array(range, { maxLength: 40 }), address, (ranges, client) => {
        const found = findConnector(tableOf(...ranges.map((text) => connector(text, [text]))), local, client);
        const holding = ranges.filter((text) => rangeContains(parseIpRange(text)!, parseIp(client)!));
        const size = (text: string) => Number(rangeSize(parseIpRange(text)!));
        const want = holding.toSorted((a, b) => size(a) - size(b))[0];
        expect(found?.range.text).toBe(want);
      }),
      { numRuns: 300 },
    );
  });

  test("ten thousand ranges are indexed and searched in a moment", () => {
    const ranges = Array.from({ length: 10_000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/${20 + (i % 12)}`);
    const from = performance.now();
    const big = tableOf(connector("many", ranges), connector("world", ["0.0.0.0/0"]));
    for (let i = 0; i < 10_000; i++) findConnector(big, local, `10.${i >> 8}.${i & 255}.1`);
    expect(performance.now() - from).toBeLessThan(3000);
  });
});

describe("selectConnector()", () => {
  test("every connector of the port is listed with its range and why it was not chosen", () => {
    const table = tableOf(
      connector("world", ["0.0.0.0/0"]),
      connector("office", ["10.0.0.0/8", "10.0.0.0/16"]),
      connector("partner", ["198.51.100.0/24"]),
    );
    const { connector: chosen, range, candidates } = selectConnector(table, local, "10.0.3.4");
    expect([chosen?.name, range]).toEqual(["office", "10.0.0.0/16"]);
    expect(candidates).toEqual([
      { connector: "world", range: "0.0.0.0/0", verdict: "a more specific range wins" },
      { connector: "office", range: "10.0.0.0/16", verdict: "selected" },
      { connector: "partner", range: undefined, verdict: "client outside its ranges" },
    ]);
  });

  test("a connector of every address that would hold the client yields to the binding with its own address", () => {
    const table = tableOf(
      connector("wide", ["10.0.0.7"]),
      connector("own", ["10.0.0.0/8"], { bindings: [{ address: "192.0.2.1", port: 25 }] }),
    );
    expect(selectConnector(table, local, "10.0.0.7").candidates).toEqual([
      { connector: "own", range: "10.0.0.0/8", verdict: "selected" },
      { connector: "wide", range: "10.0.0.7", verdict: "a binding with its own address wins" },
    ]);
  });

  test("nobody selected: every candidate says the client is outside", () => {
    const { connector: chosen, candidates } = selectConnector(
      tableOf(connector("a", ["10.0.0.0/8"])),
      local,
      "192.0.2.3",
    );
    expect(chosen).toBeUndefined();
    expect(candidates.map(({ verdict }) => verdict)).toEqual(["client outside its ranges"]);
  });
});
