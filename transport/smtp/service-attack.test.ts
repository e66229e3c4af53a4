/** The service under many clients that come, go and reset. */
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { makeCertificate } from "../../lib/certificate.ts";
import { receiveConnector } from "../../test/helpers/receive-connector.ts";
import { bench, clients, config, dial, freePort, read, say, until } from "../../test/helpers/smtp-service.ts";

describe("under attack", () => {
  const resources = () =>
    process.getActiveResourcesInfo().filter((name) => /TCP|Timeout|TLS/.test(name)).length;

  test("two thousand connections reset at once leave nothing behind", async () => {
    const before = resources();
    const { service } = bench();
    await service.apply(config([receiveConnector()]));
    for (let round = 0; round < 4; round++) {
      const sockets = Array.from({ length: 500 }, () => dial(service));
      await Promise.all(sockets.map((socket) => once(socket, "connect")));
      for (const socket of sockets) socket.resetAndDestroy();
    }
    await until(() => service.stats().sessions === 0);
    expect(await read(dial(service))).toContain("220");
    for (const client of clients) client.destroy();
    await service.close(0);
    await until(() => resources() <= before);
  });

  test("a thousand changes under coming and going clients leak no socket and break no session", async () => {
    const before = resources();
    const { service, logs } = bench();
    const ports = [await freePort(), await freePort(), await freePort()];
    const forms = [[0], [0, 1], [1, 2], [0, 2]].map((chosen) =>
      config([
        receiveConnector({
          name: "c",
          bindings: [
            { address: "127.0.0.1", port: 0 },
            ...chosen.map((i) => ({ address: "127.0.0.1", port: ports[i]! })),
          ],
          proxyProtocol: { trustedCIDRs: ["127.0.0.3"] },
        }),
      ]),
    );
    await service.apply(forms[0]!);
    const stable = dial(service);
    await read(stable);
    let churning = true;
    let visits = 0;
    const visit = async (lane: number, turn: number) => {
      const client = connect({
        host: "127.0.0.1",
        port: lane === 3 ? service.bindings()[0]!.port : ports[(lane + turn) % 3]!,
        localAddress: lane % 3 === 0 ? "127.0.0.3" : "127.0.0.1",
      });
      client.on("error", () => {});
      client.write(turn % 3 === 0 ? "PROXY UNKNOWN\r\n" : "NOOP\r\n");
      await Promise.race([once(client, "data").catch(() => {}), once(client, "close").catch(() => {})]);
      if (turn % 2 === 0) client.resetAndDestroy();
      else client.destroy();
      visits += 1;
    };
    const churn = Promise.all(
      Array.from({ length: 8 }, async (_, lane) => {
        for (let turn = 0; churning; turn++) await visit(lane, turn);
      }),
    );
    for (let i = 0; i < 1000; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      const found = await service.apply(forms[i % forms.length]!);
      // A client of this test may hold the very port for a moment; it is opened at a later turn.
      for (const { reason } of found) expect(reason).toBe("BindingFailed");
      if (i % 50 === 0) expect(await say(stable, "NOOP")).toBe("250 c NOOP\r\n");
    }
    churning = false;
    await churn;
    expect(visits).toBeGreaterThan(200);
    expect(await say(stable, "NOOP")).toBe("250 c NOOP\r\n");
    stable.destroy();
    await until(() => service.stats().sessions === 0);
    expect(service.stats().byConnector).toEqual({});
    expect(logs.filter((fields) => "err" in fields)).toEqual([]);
    await service.close(0);
    await until(() => resources() <= before);
  });

  test("clients that are refused and stay take no place of those that are served", async () => {
    const { service, counts } = bench();
    await service.apply(
      config([receiveConnector({ name: "c", remoteIPRanges: ["127.0.0.2"] })], { maxInboundConnections: 5 }),
    );
    const strangers = Array.from({ length: 50 }, () => {
      const socket = connect({ host: "127.0.0.1", port: service.bindings()[0]!.port, allowHalfOpen: true });
      clients.add(socket.on("error", () => {}));
      return socket;
    });
    const answers = await Promise.all(strangers.map((socket) => read(socket)));
    expect(new Set(answers)).toEqual(new Set(["554 5.7.1 No service for this client\r\n"]));
    const served = [0, 1, 2, 3, 4].map(() => dial(service, "127.0.0.1", 0, "127.0.0.2"));
    for (const banner of await Promise.all(served.map((socket) => read(socket))))
      expect(banner).toContain("220 c");
    expect(counts.filter((count) => count.startsWith("refused"))).toHaveLength(50);
    // The strangers never close; a second later we have, and what they still send is answered by a reset.
    await until(() => {
      for (const socket of strangers) if (!socket.destroyed) socket.write("x");
      return strangers.every((socket) => socket.destroyed);
    });
  });

  test("handshakes that never end hold no more than their connector's places, and free them when cut", async () => {
    const before = resources();
    const { service, begun } = bench();
    const pair = await makeCertificate({ names: ["mx.example"], days: 2 });
    const tls = { mode: "Implicit", minVersion: "TLSv1.2", certificates: ["s"] } as const;
    const secrets = new Map([["s", { "tls.crt": pair.cert, "tls.key": pair.key }]]);
    await service.apply(
      config([receiveConnector({ name: "c", tls, maxInboundConnection: 100 })], { secrets }),
    );
    const half = Array.from({ length: 300 }, () => dial(service));
    for (const socket of half) socket.write(Buffer.from("1603010200010001fc0303", "hex"));
    await until(() => half.filter((socket) => socket.destroyed).length === 200);
    expect(service.stats()).toEqual({ sessions: 0, byConnector: { c: 100 } });
    for (const socket of half) socket.destroy();
    await until(() => service.stats().byConnector.c === undefined);
    expect(begun).toHaveLength(0);
    await service.close(0);
    await until(() => resources() <= before);
  });
});
