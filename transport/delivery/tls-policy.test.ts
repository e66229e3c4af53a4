import { describe, expect, test } from "vitest";
import type { SendConnectorEntry } from "../../snapshot/schema.ts";
import { BrokenTls, planTls, type TlsMode, tlsMode } from "./tls-policy.ts";

const none = { ca: undefined, certificate: undefined };

function tls(mode: TlsMode, implicit = false): SendConnectorEntry["tls"] {
  return { mode, implicit, serverName: undefined, ca: undefined, clientCertificate: undefined };
}

describe("tlsMode()", () => {
  test.each([
    { name: "a rule raises None to Required", mode: "None", demand: "encrypted", want: "Required" },
    { name: "it raises Opportunistic too", mode: "Opportunistic", demand: "encrypted", want: "Required" },
    { name: "it lowers nothing", mode: "VerifyName", demand: "encrypted", want: "VerifyName" },
    { name: "REQUIRETLS raises None to VerifyName", mode: "None", demand: "verified", want: "VerifyName" },
    { name: "it raises Required too", mode: "Required", demand: "verified", want: "VerifyName" },
    { name: "without a demand the connector decides", mode: "None", demand: "none", want: "None" },
  ] as const)("$name", ({ mode, demand, want }) => {
    expect(tlsMode(mode, demand)).toBe(want);
  });
});

describe("planTls()", () => {
  const host = "mx.example";
  test.each([
    { name: "None never starts TLS", mode: "None", use: "never", fallBack: false },
    { name: "Opportunistic starts it if offered", mode: "Opportunistic", use: "if offered", fallBack: true },
    {
      name: "Opportunistic stays clear where TLS is broken",
      mode: "Opportunistic",
      broken: true,
      use: "never",
      fallBack: false,
    },
    {
      name: "Required does not care that TLS was broken",
      mode: "Required",
      broken: true,
      use: "always",
      fallBack: false,
    },
    {
      name: "a demanding message does not either",
      mode: "Opportunistic",
      broken: true,
      demand: "encrypted",
      use: "always",
      fallBack: false,
    },
    { name: "VerifyName always uses it", mode: "VerifyName", use: "always", fallBack: false },
  ] as const)("$name", (row) => {
    const {
      mode,
      use,
      fallBack,
      broken = false,
      demand = "none",
    } = { broken: false, demand: "none" as const, ...row };
    const plan = planTls(tls(mode), none, { host, demand, broken });
    expect(plan).toMatchObject({ use, mayFallBack: fallBack });
    expect(plan.options.rejectUnauthorized).toBe(mode === "VerifyName");
  });

  test("implicit TLS never falls back", () => {
    const plan = planTls(tls("Opportunistic", true), none, { host, demand: "none", broken: true });
    expect(plan).toMatchObject({ use: "always", implicit: true, mayFallBack: false });
  });

  test("the name in SNI is the configured one, else the host's, and never an address", () => {
    const named = { ...tls("VerifyName"), serverName: "other.example" };
    const ask = { demand: "none", broken: false } as const;
    expect(planTls(named, none, { host, ...ask }).options.servername).toBe("other.example");
    expect(planTls(tls("VerifyName"), none, { host, ...ask }).options.servername).toBe(host);
    expect(
      planTls(tls("VerifyName"), none, { host: "192.0.2.1", ...ask }).options.servername,
    ).toBeUndefined();
    expect(planTls(tls("VerifyName"), none, { host: "::1", ...ask }).options.servername).toBeUndefined();
  });
});

describe("BrokenTls", () => {
  test("a host is remembered for an hour", () => {
    const broken = new BrokenTls();
    broken.remember("mx.example", 0);
    expect(broken.has("mx.example", 3_599_999)).toBe(true);
    expect(broken.has("mx.example", 3_600_000)).toBe(false);
    expect(broken.has("other.example", 1)).toBe(false);
  });

  test("no more than ten thousand hosts are remembered", () => {
    const broken = new BrokenTls();
    for (let host = 0; host <= 10_000; host += 1) broken.remember(`h${host}`, 0);
    expect(broken.has("h0", 1)).toBe(false);
    expect(broken.has("h10000", 1)).toBe(true);
  });
});
