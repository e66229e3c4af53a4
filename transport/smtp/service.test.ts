/** The service with a session of four lines in place of the real one: bindings, limits, services, drain. */
import { once } from "node:events";
import { connect, createServer, Server } from "node:net";
import { connect as connectTls } from "node:tls";
import { describe, expect, test, vi } from "vitest";
import { makeCertificate } from "../../lib/certificate.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { domainsOf, receiveConnector } from "../../test/helpers/receive-connector.ts";
import {
  bench,
  clients,
  config,
  dial,
  freePort,
  read,
  say,
  until,
  untilClosed,
} from "../../test/helpers/smtp-service.ts";

describe("connector choice over sockets", () => {
  test("several connectors on one port are told apart by the client's address", async () => {
    const { service } = bench();
    await service.apply(
      config([
        receiveConnector({ name: "world" }),
        receiveConnector({ name: "two", remoteIPRanges: ["127.0.0.2"] }),
      ]),
    );
    expect(service.bindings()).toHaveLength(1);
    expect(await read(dial(service, "127.0.0.1", 0, "127.0.0.1"))).toBe("220 world 127.0.0.1\r\n");
    expect(await read(dial(service, "127.0.0.1", 0, "127.0.0.2"))).toBe("220 two 127.0.0.2\r\n");
  });

  test("a client that no connector holds is told 554 and counted", async () => {
    const { service, counts } = bench();
    await service.apply(config([receiveConnector({ remoteIPRanges: ["127.0.0.2"] })]));
    expect(await untilClosed(dial(service))).toBe("554 5.7.1 No service for this client\r\n");
    expect(counts).toEqual(["refused  no connector"]);
  });

  test("no address is IPv4 and IPv6 on one socket, and an IPv4 client is IPv4", async () => {
    const { service } = bench();
    await service.apply(config([receiveConnector({ bindings: [{ port: 0 }] })]));
    expect(await read(dial(service, "127.0.0.1"))).toContain(" 127.0.0.1\r\n");
    expect(await read(dial(service, "::1"))).toContain(" ::1\r\n");
  });
});

describe("apply()", () => {
  test("a hundred changes of rules, limits and certificates never touch an open session", async () => {
    const { service } = bench();
    const [a, b] = await Promise.all(
      ["a.example", "b.example"].map((name) => makeCertificate({ names: [name], days: 2 })),
    );
    await service.apply(config([receiveConnector({ name: "c" })]));
    const client = dial(service);
    await read(client);
    const [bound] = service.bindings();
    for (let i = 0; i < 100; i++) {
      const { cert, key } = (i % 2 ? a : b)!;
      const tls = { mode: "Opportunistic", minVersion: "TLSv1.2", certificates: ["s"] } as const;
      const connector = receiveConnector({ name: "c", tls, maxMessageSize: 1000 + i });
      const secrets = new Map([["s", { "tls.crt": cert, "tls.key": key }]]);
      expect(await service.apply(config([connector], { secrets, maxInboundConnections: 100 + i }))).toEqual(
        [],
      );
    }
    expect(service.bindings()).toEqual([bound]);
    expect(await say(client, "NOOP")).toBe("250 c NOOP\r\n");
  });

  test("a new binding answers, a removed one refuses, and its open session finishes", async () => {
    const { service, begun } = bench();
    const [first, second] = [await freePort(), await freePort()];
    const at = (port: number) =>
      config([receiveConnector({ name: "c", bindings: [{ address: "127.0.0.1", port }] })]);
    await service.apply(at(first));
    const old = dial(service);
    await read(old);
    await service.apply(at(second));
    expect(service.bindings()).toEqual([{ address: "127.0.0.1", port: second }]);
    expect(await read(dial(service))).toContain("220 c");
    const refused = connect(first, "127.0.0.1");
    const [error] = await once(refused, "error");
    expect(error).toMatchObject({ code: "ECONNREFUSED" });
    // The old session is alive, and learns at its next MAIL that nobody serves it any more.
    expect(await say(old, "NOOP")).toBe("250 none NOOP\r\n");
    expect(begun[0]?.services.connector()).toBeUndefined();
  });

  test("a taken port is a diagnostic with the mend for each connector, and is tried again", async () => {
    const blocker = createServer().listen(0, "127.0.0.1");
    await once(blocker, "listening");
    const { port } = blocker.address() as { port: number };
    const { service } = bench();
    const bindings = [
      { address: "127.0.0.1", port: 0 },
      { address: "127.0.0.1", port },
    ];
    const wanted = config([
      receiveConnector({ name: "a", bindings }),
      receiveConnector({ name: "b", bindings: bindings.slice(1) }),
    ]);
    expect(await service.apply(wanted)).toEqual([
      {
        object: "ReceiveConnector/a",
        path: "spec.bindings[1]",
        reason: "BindingFailed",
        severity: "error",
        message: `Cannot listen on 127.0.0.1 port ${port}: another program listens there; stop it or use another port`,
      },
      expect.objectContaining({ object: "ReceiveConnector/b", path: "spec.bindings[0]" }),
    ]);
    expect(service.bindings()).toHaveLength(1);
    blocker.close();
    await once(blocker, "close");
    expect(await service.apply(wanted)).toEqual([]);
    expect(service.bindings()).toHaveLength(2);
  });

  test("what is prepared and dropped leaves every socket, connector and certificate as it was", async () => {
    const { service } = bench();
    const [port, other] = [await freePort(), await freePort()];
    const own = { address: "127.0.0.1", port };
    await service.apply(config([receiveConnector({ name: "old", bindings: [own] })]));
    const client = dial(service);
    await read(client);
    const bound = service.bindings();
    // The wider socket takes the narrower one's place, and gives it back.
    const wider = [{ port }, { address: "127.0.0.1", port: other }];
    const prepared = await service.prepare(config([receiveConnector({ name: "new", bindings: wider })]));
    expect(prepared.diagnostics).toEqual([]);
    const waiting = connect(other, "127.0.0.1");
    waiting.on("error", () => {});
    await once(waiting, "connect");
    await prepared.drop();
    expect(await untilClosed(waiting)).toBe("");
    expect(service.bindings()).toEqual(bound);
    expect(await say(client, "NOOP")).toBe("250 old NOOP\r\n");
    expect(await read(dial(service))).toContain("220 old");
  });

  test("a socket that made room in vain and cannot be opened again is tried at the next configuration", async () => {
    const { service } = bench();
    const port = await freePort();
    const wanted = config([receiveConnector({ name: "old", bindings: [{ address: "127.0.0.1", port }] })]);
    await service.apply(wanted);
    const prepared = await service.prepare(config([receiveConnector({ name: "new", bindings: [{ port }] })]));
    const listen = vi.spyOn(Server.prototype, "listen").mockImplementationOnce(function (this: Server) {
      process.nextTick(() => this.emit("error", Object.assign(new Error("x"), { code: "EMFILE" })));
      return this;
    });
    await prepared.drop();
    listen.mockRestore();
    expect(service.bindings()).toEqual([]);
    expect(await service.apply(wanted)).toEqual([]);
    expect(await read(dial(service))).toContain("220 old");
  });

  test("who connects between prepare and take is served by what is taken", async () => {
    const { service } = bench();
    const port = await freePort();
    const prepared = await service.prepare(
      config([receiveConnector({ name: "new", bindings: [{ address: "127.0.0.1", port }] })]),
    );
    const early = connect(port, "127.0.0.1");
    clients.add(early);
    const greeting = read(early);
    await once(early, "connect");
    prepared.take();
    expect(await greeting).toContain("220 new");
  });

  test("an address this machine does not have is named", async () => {
    const { service } = bench();
    const found = await service.apply(
      config([receiveConnector({ bindings: [{ address: "203.0.113.77", port: 0 }] })]),
    );
    expect(found).toMatchObject([
      { reason: "BindingFailed", message: expect.stringContaining("no such address") },
    ]);
  });

  test("a binding to one address and one to every address share a port, in either order of coming", async () => {
    const { service } = bench();
    const port = await freePort();
    const own = receiveConnector({ name: "own", bindings: [{ address: "127.0.0.1", port }] });
    const every = receiveConnector({ name: "every", bindings: [{ port }] });
    for (const connectors of [[own], [own, every], [own], [every, own], [every]]) {
      expect(await service.apply(config(connectors))).toEqual([]);
      expect(service.bindings()).toHaveLength(1);
      const want = connectors.includes(own) ? "own" : "every";
      expect(await read(dial(service, "127.0.0.1"))).toContain(`220 ${want}`);
      if (connectors.includes(every)) expect(await read(dial(service, "127.0.0.2"))).toContain("220 every");
    }
  });

  test("faults of certificates and credentials are listed and everything else is in force", async () => {
    const { service } = bench();
    const tls = { mode: "Opportunistic", minVersion: "TLSv1.2", certificates: ["ns/gone"] } as const;
    const secrets = new Map([
      ["ns/users", { users: "ann:pw\nrubbish" }],
      ["ns/empty", {}],
    ]);
    const found = await service.apply(
      config(
        [
          receiveConnector({ name: "a", tls, credentials: "ns/users" }),
          receiveConnector({ name: "b", credentials: "ns/none" }),
          receiveConnector({ name: "c", credentials: "ns/empty" }),
        ],
        { secrets },
      ),
    );
    expect(found.map(({ object, path, reason }) => `${object} ${path} ${reason}`)).toEqual([
      "ReceiveConnector/a spec.tls.certificateRefs[0] SecretNotFound",
      "ReceiveConnector/a spec.credentialsRef InvalidCredentials",
      "ReceiveConnector/b spec.credentialsRef SecretNotFound",
      "ReceiveConnector/c spec.credentialsRef InvalidCredentials",
    ]);
    expect(JSON.stringify(found)).not.toContain("rubbish");
    expect(await read(dial(service))).toContain("220 a");
  });

  test("calls that overlap take their turns, and the last one is in force", async () => {
    const { service } = bench();
    const port = await freePort();
    const all = Array.from({ length: 20 }, (_, i) =>
      service.apply(
        config([
          receiveConnector({ name: `c${i}`, bindings: [{ address: "127.0.0.1", port: i % 2 ? 0 : port }] }),
        ]),
      ),
    );
    for (const found of await Promise.all(all)) expect(found).toEqual([]);
    expect(service.bindings()).toHaveLength(1);
    expect(await read(dial(service))).toContain("220 c19");
  });
});

describe("limits over sockets", () => {
  test.each([
    {
      name: "the connector's",
      connector: { maxInboundConnection: 2 },
      maxInboundConnections: 100,
      want: "421 4.3.2",
    },
    {
      name: "the source's",
      connector: { maxInboundConnectionPerSource: 2 },
      maxInboundConnections: 100,
      want: "421 4.7.0",
    },
    { name: "the transport's", connector: {}, maxInboundConnections: 2, want: "421 4.3.2" },
  ])(
    "$name limit refuses one more, and a place that is free again is given",
    async ({ connector, maxInboundConnections, want }) => {
      const { service, counts } = bench();
      await service.apply(config([receiveConnector({ name: "c", ...connector })], { maxInboundConnections }));
      const held = [dial(service), dial(service)];
      await Promise.all(held.map((client) => read(client)));
      const more = await untilClosed(dial(service));
      expect(more).toMatch(new RegExp(`^${want} .*\r\n$`));
      expect(counts.filter((count) => count.startsWith("refused"))).toHaveLength(1);
      held[0]?.destroy();
      await until(() => service.stats().sessions === 1);
      expect(await read(dial(service))).toContain("220 c");
    },
  );

  test("messages a connection, messages a minute, and pressure are judged at MAIL", async () => {
    let now = 0;
    const sleeps: number[] = [];
    const clock: Clock = {
      now: () => now,
      sleep: (ms, signal) => {
        if (ms < 1000 || ms > 20_000) return systemClock.sleep(ms, signal);
        sleeps.push(ms);
        return Promise.resolve();
      },
    };
    const { service, begun } = bench(clock);
    await service.apply(config([receiveConnector({ maxMessagesPerConnection: 6, messageRateLimit: 4 })]));
    await read(dial(service));
    const { services: session, session: facts } = begun[0]!;
    const admit = async () => (await session.admitMessage(facts))?.reply;
    for (let i = 0; i < 4; i++) expect(await admit()).toBeUndefined();
    expect(await admit()).toMatchObject({ code: 421, status: "4.4.2" });
    now += 180_000;
    service.setPressure("high");
    expect(await admit()).toMatchObject({ code: 452, status: "4.3.1" });
    service.setPressure("medium");
    expect(await admit()).toBeUndefined();
    now += 20_000;
    service.setPressure("medium");
    expect(await admit()).toBeUndefined();
    expect(sleeps).toEqual([1000, 5000]);
    service.setPressure("normal");
    expect(await admit()).toMatchObject({ code: 421, status: "4.7.0" });
  });

  test.each([
    { source: "IPAddress", want: [true, true, false, false] },
    { source: "User", want: [true, false, true, false] },
    { source: "All", want: [true, false, false, false] },
  ] as const)("one message a minute by $source", async ({ source, want }) => {
    const { service, begun } = bench();
    await service.apply(config([receiveConnector({ messageRateLimit: 1, messageRateSource: source })]));
    await read(dial(service));
    const { services: ask, session } = begun[0]!;
    const admitted: boolean[] = [];
    for (const [clientAddress, user] of [
      ["192.0.2.1", "ann"],
      ["192.0.2.2", "Ann"],
      ["192.0.2.1", "bob"],
      ["192.0.2.2", "bob"],
    ]) {
      const facts = { ...session, clientAddress: clientAddress!, user };
      admitted.push((await ask.admitMessage(facts)) === undefined);
    }
    expect(admitted).toEqual(want);
  });

  test("with messageRateSource User, who has not authenticated counts by address", async () => {
    const { service, begun } = bench();
    await service.apply(config([receiveConnector({ messageRateLimit: 1, messageRateSource: "User" })]));
    await read(dial(service));
    const { services: ask, session } = begun[0]!;
    expect(await ask.admitMessage(session)).toBeUndefined();
    expect(await ask.admitMessage({ ...session, clientAddress: "192.0.2.9" })).toBeUndefined();
    expect(await ask.admitMessage(session)).toMatchObject({ disconnect: true });
  });

  test("a refusal is read by a client that has sent much before it", async () => {
    const { service } = bench();
    await service.apply(config([receiveConnector({ remoteIPRanges: ["127.0.0.2"] })]));
    for (let i = 0; i < 20; i++) {
      const client = dial(service);
      client.write(Buffer.alloc(300_000, "x"));
      expect(await untilClosed(client)).toContain("554 5.7.1");
    }
  });

  test("a slowed MAIL of a client that left ends at once", async () => {
    const sleeps: number[] = [];
    const clock: Clock = {
      now: () => systemClock.now(),
      sleep(ms, signal) {
        if (ms < 1000) return systemClock.sleep(ms, signal);
        sleeps.push(ms);
        return systemClock.sleep(3_600_000, signal);
      },
    };
    const { service, begun } = bench(clock);
    await service.apply(config([receiveConnector()]));
    const client = dial(service);
    await read(client);
    service.setPressure("medium");
    const answer = begun[0]!.services.admitMessage(begun[0]!.session);
    client.destroy();
    await answer;
    expect(sleeps).toContain(1000);
  });
});

describe("what a session may ask", () => {
  test("passwords by the connector's Secret; a Secret that is gone is no answer", async () => {
    const { service, begun } = bench();
    const connector = receiveConnector({ credentials: "s" });
    await service.apply(config([connector], { secrets: new Map([["s", { users: "ann:pw" }]]) }));
    await read(dial(service));
    const ask = begun[0]!.services;
    expect(await ask.authenticate("Ann", "pw")).toBe(true);
    expect(await ask.authenticate("ann", "no")).toBe(false);
    await service.apply(config([connector]));
    await expect(ask.authenticate("ann", "pw")).rejects.toThrow("no credentials");
  });

  test("a transaction keeps the configuration of its MAIL until connector() is asked again", async () => {
    const { service, begun } = bench();
    await service.apply(config([receiveConnector({ name: "c" })]));
    await read(dial(service));
    const { services: ask, session } = begun[0]!;
    const to = { localPart: "ann", domain: "contoso.example" };
    expect(ask.checkRecipient(session, to)).toBeUndefined();
    await service.apply({
      ...config([receiveConnector({ name: "c" })]),
      domains: domainsOf("fabrikam.example"),
    });
    expect(ask.checkRecipient(session, to)).toBeUndefined();
    ask.connector();
    expect(ask.checkRecipient(session, to)?.reply.code).toBe(550);
  });

  test("a session that began without TLS has no place on a binding that has become implicit", async () => {
    const { service, begun } = bench();
    await service.apply(config([receiveConnector()]));
    await read(dial(service));
    await service.apply(
      config([receiveConnector({ tls: { mode: "Implicit", minVersion: "TLSv1.2", certificates: [] } })]),
    );
    expect(begun[0]!.services.connector()).toBeUndefined();
  });

  test("the dialogue is logged for Verbose only, and metrics never take a client's word for a verb", async () => {
    const { service, begun, logs, counts } = bench();
    await service.apply(config([receiveConnector({ name: "c" })]));
    await read(dial(service));
    const { services: ask } = begun[0]!;
    ask.protocolLog("<", "NOOP");
    expect(logs).toEqual([]);
    await service.apply(config([receiveConnector({ name: "c", protocolLoggingLevel: "Verbose" })]));
    ask.connector();
    ask.protocolLog("<", "NOOP");
    expect(logs).toEqual([{ session: "s0", connector: "c", direction: "<", line: "NOOP" }]);
    ask.replied("XYZZY", { code: 500, status: "5.5.1", text: "" });
    ask.replied("mail", { code: 250, status: "2.1.0", text: "" });
    expect(counts.slice(-2)).toEqual(["reply c OTHER 500", "reply c MAIL 250"]);
    expect(ask.handler).toBe(ask.handler);
    expect(ask.handler).toEqual({ opened: begun[0]!.session });
  });
});

describe("drain() and close()", () => {
  test("drain refuses new connections, ends idle sessions, and waits for open transactions", async () => {
    const { service, begun } = bench();
    await service.apply(config([receiveConnector()]));
    const [idle, busy] = [dial(service), dial(service)];
    await Promise.all([read(idle), read(busy)]);
    await until(() => begun.length === 2);
    begun[1]!.transaction = true;
    let drained = false;
    const farewell = Promise.race([untilClosed(idle), untilClosed(busy)]);
    const drain = service.drain().then(() => {
      drained = true;
    });
    expect(await farewell).toContain("421 4.3.2");
    expect(begun[0]!.services.draining()).toBe(true);
    expect(await untilClosed(dial(service))).toContain("421 4.3.2");
    expect(drained).toBe(false);
    begun[1]!.transaction = false;
    await drain;
  });

  test("a service that drains no more takes mail again", async () => {
    const { service } = bench();
    await service.apply(config([receiveConnector({ name: "c" })]));
    service.setDraining(true);
    expect(await untilClosed(dial(service))).toContain("421 4.3.2");
    service.setDraining(false);
    expect(await read(dial(service))).toContain("220 c");
  });

  test("a handshake that ends while the service drains becomes a session that is shut down", async () => {
    const { service } = bench();
    const { cert, key } = await makeCertificate({ names: ["mx.example"], days: 2 });
    const tls = { mode: "Implicit", minVersion: "TLSv1.2", certificates: ["s"] } as const;
    const secrets = new Map([["s", { "tls.crt": cert, "tls.key": key }]]);
    await service.apply(config([receiveConnector({ name: "c", tls })], { secrets }));
    const raw = dial(service);
    await until(() => service.stats().byConnector.c === 1);
    await service.drain();
    const client = connectTls({ socket: raw, rejectUnauthorized: false });
    expect(await untilClosed(client)).toContain("421 4.3.2");
  });

  test("close() cuts what is left after the grace, and nothing stays open", async () => {
    const { service, begun } = bench();
    await service.apply(config([receiveConnector()]));
    const client = dial(service);
    await read(client);
    begun[0]!.transaction = true;
    const [{ port } = { port: 0 }] = service.bindings();
    const from = Date.now();
    await service.close(100);
    expect(Date.now() - from).toBeGreaterThanOrEqual(90);
    expect(service.stats()).toEqual({ sessions: 0, byConnector: {} });
    const late = connect(port, "127.0.0.1");
    expect((await once(late, "error"))[0]).toMatchObject({ code: "ECONNREFUSED" });
    await expect(service.apply(config([]))).rejects.toThrow("closed");
    await service.close(0);
  });
});
