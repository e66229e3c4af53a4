import { describe, expect, test } from "vitest";
import type { ReceiveConnectorEntry } from "../../snapshot/schema.ts";
import { receiveConnector } from "../../test/helpers/receive-connector.ts";
import { buildConnectorTable, endpointsOf, isTrustedProxy } from "./binding.ts";
import { findConnector } from "./connector.ts";

function connector(name: string, remoteIPRanges: string[], more: Partial<ReceiveConnectorEntry> = {}) {
  return receiveConnector({ name, remoteIPRanges, bindings: [{ port: 25 }], ...more });
}
const local = { address: "192.0.2.1", port: 25 };
const tableOf = (...connectors: ReceiveConnectorEntry[]) => buildConnectorTable(connectors).table;

describe("buildConnectorTable()", () => {
  test("on a binding with an implicit connector the others are conflicted and out of force there", () => {
    const { table, diagnostics } = buildConnectorTable([
      connector("plain", ["10.0.0.0/8"], { bindings: [{ port: 25 }, { port: 465 }] }),
      connector("smtps", ["0.0.0.0/0"], {
        bindings: [{ port: 465 }],
        tls: { mode: "Implicit", minVersion: "TLSv1.2", certificates: [] },
      }),
    ]);
    expect(diagnostics).toMatchObject([
      { object: "ReceiveConnector/plain", path: "spec.bindings[1]", reason: "Conflicted", severity: "error" },
    ]);
    expect(findConnector(table, { ...local, port: 465 }, "10.0.0.1")?.connector.name).toBe("smtps");
    expect(findConnector(table, local, "10.0.0.1")?.connector.name).toBe("plain");
  });

  test.each([
    { name: ":: is every address", address: "::", holds: ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"] },
    { name: "0.0.0.0 is every IPv4 address", address: "0.0.0.0", holds: ["192.0.2.1", "::ffff:192.0.2.1"] },
    { name: "an address in another spelling is the same", address: "2001:DB8:0::1", holds: ["2001:db8::1"] },
  ])("$name", ({ address, holds }) => {
    const { table } = buildConnectorTable([
      connector("a", ["0.0.0.0/0"], { bindings: [{ address, port: 25 }] }),
    ]);
    const reached = ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"];
    const found = reached.filter((end) => findConnector(table, { address: end, port: 25 }, "10.0.0.1"));
    expect(found).toEqual(holds);
  });

  test("a binding whose address is none is named, and the connector's others hold", () => {
    const { table, diagnostics } = buildConnectorTable([
      connector("a", ["0.0.0.0/0"], { bindings: [{ address: "localhost", port: 25 }, { port: 26 }] }),
    ]);
    expect(diagnostics).toMatchObject([{ path: "spec.bindings[0].address", reason: "Invalid" }]);
    expect(findConnector(table, { ...local, port: 26 }, "10.0.0.1")?.connector.name).toBe("a");
  });
});

describe("endpointsOf()", () => {
  const at = (...addresses: (string | undefined)[]) =>
    endpointsOf(
      tableOf(
        ...addresses.map((address, i) =>
          connector(`c${i}`, ["0.0.0.0/0"], {
            bindings: [address === undefined ? { port: 25 } : { address, port: 25 }],
          }),
        ),
      ),
    ).map(({ address, members }) => [address, members.length]);
  test.each([
    { name: "one binding is one socket", addresses: ["192.0.2.1"], want: [["192.0.2.1", 1]] },
    {
      name: "two spellings of an address are one socket",
      addresses: ["2001:db8::1", "2001:DB8:0::1"],
      want: [["2001:db8:0:0:0:0:0:1", 2]],
    },
    {
      name: "every address serves the narrower ones too",
      addresses: ["192.0.2.1", undefined, "0.0.0.0", "::1"],
      want: [["", 4]],
    },
    {
      name: "every IPv4 address serves IPv4 ones and leaves IPv6 ones alone",
      addresses: ["192.0.2.1", "0.0.0.0", "::1"],
      want: [
        ["0.0.0.0", 2],
        ["0:0:0:0:0:0:0:1", 1],
      ],
    },
    { name: ":: is every address", addresses: ["::", undefined], want: [["", 2]] },
  ])("$name", ({ addresses, want }) => {
    expect(at(...addresses)).toEqual(want);
  });
});

describe("isTrustedProxy()", () => {
  test("a balancer of any connector of the binding is trusted there, and nowhere else", () => {
    const table = tableOf(
      connector("a", ["0.0.0.0/0"], { proxyProtocol: { trustedCIDRs: ["10.0.0.0/24"] } }),
      connector("b", ["0.0.0.0/0"], { bindings: [{ port: 26 }] }),
    );
    expect(isTrustedProxy(table, local, "::ffff:10.0.0.9")).toBe(true);
    expect(isTrustedProxy(table, local, "10.0.1.9")).toBe(false);
    expect(isTrustedProxy(table, { ...local, port: 26 }, "10.0.0.9")).toBe(false);
  });
});
