/** From the socket to the session: PROXY header and implicit TLS. */
import { once } from "node:events";
import { connect as connectTls } from "node:tls";
import { describe, expect, test } from "vitest";
import { makeCertificate } from "../../lib/certificate.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { ReceiveConnectorEntry } from "../../snapshot/schema.ts";
import { receiveConnector } from "../../test/helpers/receive-connector.ts";
import { bench, config, dial, read, say, until, untilClosed } from "../../test/helpers/smtp-service.ts";

describe("PROXY protocol", () => {
  const trusting = (more: Partial<ReceiveConnectorEntry> = {}) =>
    receiveConnector({ name: "c", proxyProtocol: { trustedCIDRs: ["127.0.0.1"] }, ...more });
  const header = "PROXY TCP4 198.51.100.7 192.0.2.1 54321 25\r\n";
  const v2Local = Buffer.from("0d0a0d0a000d0a515549540a20000000", "hex");

  test("the client is who the balancer says, also when the header comes octet by octet", async () => {
    const { service, begun } = bench();
    await service.apply(config([trusting()]));
    const client = dial(service);
    client.setNoDelay(true);
    const banner = read(client);
    for (const octet of header) {
      client.write(octet);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await banner).toBe("220 c 198.51.100.7\r\n");
    expect(begun[0]?.endpoints).toEqual({
      clientAddress: "198.51.100.7",
      clientPort: 54321,
      localAddress: "192.0.2.1",
      localPort: 25,
    });
    expect(await say(client, "NOOP")).toBe("250 c NOOP\r\n");
  });

  test("octets behind the header are passed on, and the header alone is no early talk", async () => {
    const { service, begun } = bench();
    await service.apply(config([trusting()]));
    dial(service).write(`${header}EHLO early\r\n`);
    await until(() => begun.length === 1);
    dial(service).write(header);
    await until(() => begun.length === 2);
    expect(begun.map(({ early }) => early)).toEqual(["EHLO early\r\n", ""]);
  });

  test("the connector is chosen by the client the header names", async () => {
    const { service } = bench();
    await service.apply(
      config([trusting(), receiveConnector({ name: "partner", remoteIPRanges: ["198.51.100.0/24"] })]),
    );
    const client = dial(service);
    client.write(header);
    expect(await read(client)).toBe("220 partner 198.51.100.7\r\n");
  });

  test("a header from a peer that is not trusted is just words of a client", async () => {
    const { service } = bench();
    await service.apply(config([trusting()]));
    const client = dial(service, "127.0.0.1", 0, "127.0.0.9");
    expect(await read(client)).toBe("220 c 127.0.0.9\r\n");
    expect(await say(client, header.trim())).toBe(`250 c ${header}`);
  });

  test("a trusted peer that sends anything else is closed without a word", async () => {
    const { service, begun, counts } = bench();
    await service.apply(config([trusting()]));
    const client = dial(service);
    client.write("EHLO x\r\n");
    expect(await untilClosed(client)).toBe("");
    expect([begun.length, counts]).toEqual([0, ["refused  PROXY header"]]);
  });

  test("a peer that never finishes its header is closed after five seconds", async () => {
    let expire = () => {};
    const waits: number[] = [];
    const clock: Clock = {
      now: () => 0,
      sleep: (ms, signal) =>
        ms < 1000
          ? systemClock.sleep(ms, signal)
          : new Promise((resolve, reject) => {
              waits.push(ms);
              expire = resolve;
              signal?.addEventListener("abort", () => reject(signal.reason));
            }),
    };
    const { service, begun } = bench(clock);
    await service.apply(config([trusting()]));
    const client = dial(service);
    client.write("PROXY TC");
    const closed = untilClosed(client);
    await until(() => waits.length === 1);
    expect(waits).toEqual([5000]);
    expire();
    expect(await closed).toBe("");
    expect(begun).toHaveLength(0);
  });

  test.each([
    { name: "connects and closes", octets: "" },
    { name: "sends half a header and closes", octets: "PROXY TCP4 1.2" },
  ])("a health check that $name is quiet", async ({ octets }) => {
    const { service, counts, logs } = bench();
    await service.apply(config([trusting()]));
    const client = dial(service);
    client.end(octets);
    client.resume();
    await once(client, "close");
    expect([counts, logs]).toEqual([[], []]);
  });

  test("a LOCAL health check sees the banner, and is not counted", async () => {
    const { service, counts } = bench();
    await service.apply(config([trusting()]));
    const client = dial(service);
    client.write(v2Local);
    expect(await read(client)).toBe("220 c 127.0.0.1\r\n");
    expect(counts).toEqual([]);
  });

  test("garbage at each place of a header closes the connection and nothing else", async () => {
    const { service, begun } = bench();
    await service.apply(config([trusting()]));
    const v2 = Buffer.concat([
      Buffer.from("0d0a0d0a000d0a515549540a2111000c", "hex"),
      Buffer.from("c6336407c0000201d4310019", "hex"),
    ]);
    const forms = [Buffer.from(header), v2];
    const attacks = forms.flatMap((form) =>
      Array.from({ length: form.length }, (_, at) =>
        Buffer.concat([form.subarray(0, at), Buffer.alloc(700, 0xff)]),
      ),
    );
    await Promise.all(
      attacks.map(async (octets) => {
        const client = dial(service);
        client.write(octets);
        client.end();
        await untilClosed(client);
        client.destroy();
      }),
    );
    await until(() => service.stats().sessions === 0);
    // Version 2's addresses may be any octets, so what changes only those is a good header.
    expect(begun.length).toBeLessThanOrEqual(12);
    const client = dial(service);
    client.write(header);
    expect(await read(client)).toContain("220 c");
  });
});

describe("implicit TLS", () => {
  test("the handshake comes first, the certificate follows SNI, and a PROXY header may come before it", async () => {
    const [one, two] = await Promise.all(
      ["one.example", "two.example"].map((name) => makeCertificate({ names: [name], days: 2 })),
    );
    const { service, begun } = bench();
    const secrets = new Map(
      [one, two].map((pair, i) => [`s${i}`, { "tls.crt": pair!.cert, "tls.key": pair!.key }] as const),
    );
    const tls = { mode: "Implicit", minVersion: "TLSv1.3", certificates: ["s0", "s1"] } as const;
    await service.apply(
      config([receiveConnector({ name: "c", tls, proxyProtocol: { trustedCIDRs: ["127.0.0.1"] } })], {
        secrets,
      }),
    );
    for (const [servername, want] of [
      ["two.example", "DNS:two.example"],
      ["x.example", "DNS:one.example"],
    ] as const) {
      const raw = dial(service);
      raw.write("PROXY TCP4 198.51.100.7 192.0.2.1 54321 465\r\n");
      const client = connectTls({ socket: raw, servername, rejectUnauthorized: false });
      expect(await read(client)).toBe("220 c 198.51.100.7\r\n");
      expect(client.getPeerCertificate().subjectaltname).toBe(want);
      expect(await say(client, "NOOP")).toBe("250 c NOOP\r\n");
      client.destroy();
    }
    expect(begun.map(({ early, session }) => [early, session.tls !== undefined])).toEqual([
      ["", true],
      ["", true],
    ]);
    await until(() => service.stats().sessions === 0);
    expect(service.stats()).toEqual({ sessions: 0, byConnector: {} });
  });

  test("a handshake half begun is cut after thirty seconds, garbage at once, and neither starts a session", async () => {
    const pair = await makeCertificate({ names: ["one.example"], days: 2 });
    const waits: { ms: number; expire: () => void }[] = [];
    const clock: Clock = {
      now: () => Date.now(),
      sleep: (ms, signal) =>
        ms < 1000
          ? systemClock.sleep(ms, signal)
          : new Promise((resolve) => waits.push({ ms, expire: resolve })),
    };
    const { service, begun } = bench(clock);
    const tls = { mode: "Implicit", minVersion: "TLSv1.2", certificates: ["s"] } as const;
    const secrets = new Map([["s", { "tls.crt": pair.cert, "tls.key": pair.key }]]);
    await service.apply(config([receiveConnector({ tls })], { secrets }));
    const half = dial(service);
    half.write(Buffer.from("160301", "hex"));
    const closed = untilClosed(half);
    await until(() => waits.length === 1);
    expect(waits[0]?.ms).toBe(30_000);
    waits[0]?.expire();
    expect(await closed).toBe("");
    const garbage = dial(service);
    garbage.write("EHLO x\r\nMAIL FROM:<>\r\n");
    await untilClosed(garbage);
    await until(() => Object.keys(service.stats().byConnector).length === 0);
    expect(begun).toHaveLength(0);
  });

  test("without a usable certificate the connection is closed", async () => {
    const { service } = bench();
    const tls = { mode: "Implicit", minVersion: "TLSv1.2", certificates: [] } as const;
    await service.apply(config([receiveConnector({ tls })]));
    expect(await untilClosed(dial(service))).toBe("");
  });
});
