import { once } from "node:events";
import { type AddressInfo, connect as connectPlain, createServer, type Server } from "node:net";
import { connect, type SecureContext, TLSSocket } from "node:tls";
import { afterAll, describe, expect, test } from "vitest";
import { type CertificateAndKey, makeCertificate } from "../../lib/certificate.ts";
import type { ReceiveConnectorEntry, Secrets } from "../../snapshot/schema.ts";
import { receiveConnector } from "../../test/helpers/receive-connector.ts";
import { CertificateStore } from "./tls.ts";

const now = Date.now();
const [mx, wild, other] = await Promise.all([
  makeCertificate({ names: ["mx.contoso.example", "MAIL.contoso.example"], days: 30 }),
  makeCertificate({ names: ["*.contoso.example"], days: 30 }),
  makeCertificate({ names: ["other.example"], days: 30 }),
]);
const expired = await makeCertificate({ names: ["old.example"], days: 1, from: now - 5 * 86_400_000 });
const future = await makeCertificate({ names: ["new.example"], days: 9, from: now + 86_400_000 });

function secrets(pairs: Record<string, CertificateAndKey>): Secrets {
  return new Map(
    Object.entries(pairs).map(
      ([name, { cert, key }]) => [name, { "tls.crt": cert, "tls.key": key }] as const,
    ),
  );
}
function connector(...certificates: string[]): ReceiveConnectorEntry {
  return receiveConnector({ name: "c", tls: { mode: "Opportunistic", minVersion: "TLSv1.2", certificates } });
}

const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) server.close();
});
/** Common name that a client sees when the server answers with this context. */
async function subjectOf(context: SecureContext | undefined): Promise<string | undefined> {
  if (context === undefined) return undefined;
  const server = createServer((raw) => {
    raw.on("error", () => {});
    new TLSSocket(raw, { isServer: true, secureContext: context }).on("error", () => {});
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = connect({ socket: connectPlain(port, "127.0.0.1"), rejectUnauthorized: false });
  await once(client, "secureConnect");
  const subject = client.getPeerCertificate().subjectaltname;
  client.destroy();
  return subject;
}

describe("CertificateStore", () => {
  test.each([
    {
      name: "an exact name goes before a wildcard of an earlier Secret",
      servername: "mx.contoso.example",
      want: "mx.contoso.example",
    },
    {
      name: "a name in other case is the same name",
      servername: "Mail.Contoso.Example",
      want: "mx.contoso.example",
    },
    {
      name: "a wildcard takes the names of its domain",
      servername: "a.contoso.example",
      want: "*.contoso.example",
    },
    {
      name: "a wildcard takes one label and no more: the first is the default",
      servername: "a.b.contoso.example",
      want: "other.example",
    },
    { name: "a wildcard does not take its own domain", servername: "contoso.example", want: "other.example" },
    { name: "no server name gets the first", servername: "", want: "other.example" },
    { name: "an unknown one too", servername: "x.invalid", want: "other.example" },
  ])("$name", async ({ servername, want }) => {
    const { byConnector, diagnostics } = new CertificateStore().prepare(
      [connector("other", "wild", "mx")],
      secrets({ other, wild, mx }),
      now,
    );
    expect(diagnostics).toEqual([]);
    expect(await subjectOf(byConnector.get("c")?.context(servername))).toContain(want);
  });

  test("of two certificates for one name the first is used", () => {
    const pair = { ...mx, cert: `${mx.cert}\n` };
    const { byConnector } = new CertificateStore().prepare(
      [connector("other", "mx", "again"), { ...connector("mx"), name: "d" }],
      secrets({ other, mx, again: pair }),
      now,
    );
    expect(byConnector.get("c")?.context("mx.contoso.example")).toBe(byConnector.get("d")?.context(""));
  });

  test("the same content keeps its context, new content gets a new one", () => {
    const store = new CertificateStore();
    const contextOf = (pair: typeof mx) => {
      const { byConnector, keep } = store.prepare([connector("mx")], secrets({ mx: pair }), now);
      keep();
      return byConnector.get("c")?.context("");
    };
    const first = contextOf(mx);
    expect(contextOf({ ...mx })).toBe(first);
    expect(contextOf(other)).not.toBe(first);
  });

  test.each([
    { name: "a Secret that is gone", pair: undefined, reason: "SecretNotFound" },
    {
      name: "a key of another certificate",
      pair: { cert: mx.cert, key: other.key },
      reason: "InvalidCertificate",
    },
    { name: "no PEM at all", pair: { cert: "junk", key: mx.key }, reason: "InvalidCertificate" },
    { name: "an empty key", pair: { cert: mx.cert, key: "" }, reason: "InvalidCertificate" },
    {
      name: "a broken chain",
      pair: { cert: `${mx.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`, key: mx.key },
      reason: "InvalidCertificate",
    },
  ])("$name leaves the last good one in force and is named", ({ pair, reason }) => {
    const store = new CertificateStore();
    const good = store.prepare([connector("mx")], secrets({ mx }), now);
    good.keep();
    const { byConnector, diagnostics } = store.prepare(
      [connector("mx")],
      secrets(pair ? { mx: pair } : {}),
      now,
    );
    expect(diagnostics).toMatchObject([
      { object: "ReceiveConnector/c", path: "spec.tls.certificateRefs[0]", reason, severity: "error" },
    ]);
    expect(diagnostics[0]?.message).toContain("last good");
    expect(byConnector.get("c")?.context("")).toBe(good.byConnector.get("c")?.context(""));
    // Without a last good one there is nothing to offer.
    const fresh = new CertificateStore().prepare([connector("mx")], secrets(pair ? { mx: pair } : {}), now);
    expect(fresh.byConnector.get("c")?.context("")).toBeUndefined();
    expect(fresh.diagnostics[0]?.message).not.toContain("last good");
  });

  test("no fault quotes the key", () => {
    const pair = { cert: mx.cert, key: mx.key.slice(0, 60) };
    const { diagnostics } = new CertificateStore().prepare([connector("mx")], secrets({ mx: pair }), now);
    expect(JSON.stringify(diagnostics)).not.toContain(mx.key.slice(28, 60));
  });

  test.each([
    { name: "an expired one", pair: expired, reason: "CertificateExpired" },
    { name: "one of tomorrow", pair: future, reason: "CertificateNotYetValid" },
  ])("$name is in force, with a warning", ({ pair, reason }) => {
    const { byConnector, diagnostics } = new CertificateStore().prepare(
      [connector("s")],
      secrets({ s: pair }),
      now,
    );
    expect(diagnostics).toMatchObject([{ reason, severity: "warning" }]);
    expect(byConnector.get("c")?.context("")).toBeDefined();
  });

  test("a fault of one Secret leaves the connector the others", async () => {
    const { byConnector } = new CertificateStore().prepare([connector("gone", "mx")], secrets({ mx }), now);
    expect(await subjectOf(byConnector.get("c")?.context(""))).toContain("mx.contoso.example");
  });

  test("what is not kept is not the last good one", () => {
    const store = new CertificateStore();
    store.prepare([connector("mx")], secrets({ mx }), now);
    const { byConnector } = store.prepare([connector("mx")], new Map(), now);
    expect(byConnector.get("c")?.context("")).toBeUndefined();
  });

  test("a Secret that no connector names any more is forgotten", () => {
    const store = new CertificateStore();
    store.prepare([connector("mx")], secrets({ mx }), now).keep();
    store.prepare([connector()], new Map(), now).keep();
    const { byConnector } = store.prepare([connector("mx")], new Map(), now);
    expect(byConnector.get("c")?.context("")).toBeUndefined();
  });
});
