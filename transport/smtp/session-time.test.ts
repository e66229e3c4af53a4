import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { reply } from "../../mail/reply.ts";
import type { Answer } from "../../mail/session.ts";
import { eventually } from "../../test/helpers/eventually.ts";
import { createFakeClock, type FakeClock } from "../../test/helpers/fake-clock.ts";
import { type Client, type Rig, type RigOptions, startRig } from "../../test/helpers/session-rig.ts";

let rig: Rig | undefined;
afterEach(async () => {
  await rig?.stop();
  rig = undefined;
});

async function open(options: RigOptions = {}): Promise<{ client: Client; clock: FakeClock; rig: Rig }> {
  const clock = createFakeClock();
  const started = await startRig({ ...options, clock });
  rig = started;
  return { client: await started.open(), clock, rig: started };
}

const ENVELOPE = "EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n";

/** The kernel has a timer that asks the peer of this socket whether it is still there (proc_net_tcp(5): tr is 02). */
function isKeptAlive({ localPort, remotePort }: Socket): boolean {
  const hex = (port = 0) => port.toString(16).toUpperCase().padStart(4, "0");
  const ends = `0100007F:${hex(localPort)} 0100007F:${hex(remotePort)}`;
  const line = readFileSync("/proc/net/tcp", "latin1")
    .split("\n")
    .find((candidate) => candidate.includes(ends));
  return / 02:[0-9A-F]{8} /.test(line ?? "");
}

describe("time", () => {
  test.skipIf(process.platform !== "linux")(
    "the kernel asks after a client that stays for a second",
    async () => {
      const sockets: Socket[] = [];
      const { client, clock } = await open({ onSocket: (socket) => sockets.push(socket) });
      const [socket] = sockets;
      await clock.advance(1000);
      await eventually(() => socket !== undefined && isKeptAlive(socket));
      expect(await client.say("NOOP")).toBe("250 2.0.0 OK");
    },
  );

  test("a silent client is told 421 4.4.2 after connectionInactivityTimeout, not before", async () => {
    const { client, clock } = await open({ connector: { connectionInactivityTimeoutMs: 300_000 } });
    await clock.advance(299_999);
    expect(await client.say("NOOP")).toBe("250 2.0.0 OK");
    await clock.advance(300_000);
    expect(await client.rest()).toBe("421 4.4.2 Timeout, closing connection\r\n");
  });

  test("a client that waits for us is not idle", async () => {
    let answer: (value: Answer) => void = () => undefined;
    const { client, clock } = await open({
      handler: {
        onMail: () =>
          new Promise((resolve) => {
            answer = resolve;
          }),
      },
    });
    await client.say("EHLO me");
    client.write("MAIL FROM:<>\r\n");
    await eventually(() => rig?.controls[0]?.inTransaction());
    await clock.advance(3_600_000);
    answer(undefined);
    expect(await client.reply()).toBe("250 2.1.0 Sender OK");
  });

  test("a sink that stalls stops the reading, and does not make the client slow", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let stalled: Promise<void> | undefined = promise;
    let writes = 0;
    const { client, clock } = await open({
      connector: { maxMessageSize: 100_000_000 },
      handler: {
        onData: () => ({
          write() {
            writes++;
            return stalled;
          },
          end: () => Promise.resolve({ reply: reply(250, "2.6.0", "Queued") }),
          abort: () => undefined,
        }),
      },
    });
    client.write(ENVELOPE);
    const line = `${"x".repeat(900)}\r\n`;
    client.write(line.repeat(20_000));
    await eventually(() => writes === 1);
    await clock.advance(3_600_000);
    expect(writes).toBe(1);
    expect(client.socket.writableLength).toBeGreaterThan(0); // TCP itself pushes back
    client.write(".\r\nQUIT\r\n");
    stalled = undefined;
    resolve();
    expect(await client.rest()).toContain("250 2.6.0 Queued");
  });

  test("a client below minDataRate is cut after a minute, though never idle", async () => {
    const { client, clock, rig: started } = await open({ connector: { minDataRate: 500 } });
    client.write(ENVELOPE);
    await eventually(() => client.received().includes("354"));
    for (let second = 0; second < 200 && client.socket.readyState === "open"; second += 5) {
      client.write("slow\r\n");
      await clock.advance(5000);
    }
    expect(await client.rest()).toContain("421 4.4.2 Data rate too low, closing connection");
    await eventually(() => started.events.includes("closed"));
    expect(started.events).toEqual(["abort", "disconnect", "closed"]);
  });

  test("connectionTimeout ends a session that only talks; an open transaction may end first", async () => {
    const { client, clock } = await open({ connector: { connectionTimeoutMs: 600_000 } });
    client.write("EHLO me\r\nMAIL FROM:<>\r\n");
    for (let minute = 0; minute < 12; minute++) {
      await clock.advance(60_000);
      client.write("NOOP\r\n");
      await eventually(() => (client.received().match(/250 2\.0\.0/g)?.length ?? 0) === minute + 1);
    }
    client.write("RSET\r\n");
    await eventually(() => client.received().includes("dropped"));
    await clock.advance(10_000);
    expect(await client.rest()).toMatch(/421 4\.4\.2 Session too long, closing connection\r\n$/);
  });

  test("5yz replies to strangers wait for tarpitInterval; others do not", async () => {
    const { client, clock } = await open({ connector: { tarpitIntervalMs: 5000 } });
    expect(await client.say("NOOP")).toBe("250 2.0.0 OK");
    client.write("BOGUS\r\nNOOP\r\n");
    await eventually(() => clock.sleepers() === 2);
    await clock.advance(4999);
    expect(client.received()).toBe("");
    await clock.advance(1);
    expect(await client.reply()).toMatch(/^500 /);
    expect(await client.reply()).toBe("250 2.0.0 OK");
  });

  test("a session that is externally secured is not tarpitted", async () => {
    const { client } = await open({
      connector: { tarpitIntervalMs: 5000, authMechanisms: ["ExternalAuthoritative"] },
    });
    expect(await client.say("BOGUS")).toMatch(/^500 /);
  });

  test("Answer.delayMs waits before the reply, and ends with the client", async () => {
    const {
      client,
      clock,
      rig: started,
    } = await open({
      handler: { onMail: () => ({ reply: reply(250, "2.1.0", "Slowly"), delayMs: 7000 }) },
    });
    await client.say("EHLO me");
    client.write("MAIL FROM:<>\r\n");
    await eventually(() => clock.sleepers() === 2);
    await clock.advance(7000);
    expect(await client.reply()).toBe("250 2.1.0 Slowly");
    client.write("RSET\r\nMAIL FROM:<>\r\n");
    await eventually(() => clock.sleepers() === 2);
    client.socket.resetAndDestroy();
    await eventually(() => started.events.includes("closed"));
    await clock.advance(1000); // the watch finds that nobody is left
    expect(clock.sleepers()).toBe(0);
  });
});

describe("the greeting", () => {
  test("comes at once without greetingDelay, far sooner than 100 ms", async () => {
    rig = await startRig();
    let fastest = Number.POSITIVE_INFINITY;
    for (let count = 0; count < 20; count++) {
      const start = performance.now();
      (await rig.open()).socket.destroy();
      fastest = Math.min(fastest, performance.now() - start);
    }
    expect(fastest).toBeLessThan(50); // smtp-server's own takes 100 ms; measured 1
  });

  test("waits for greetingDelay", async () => {
    const clock = createFakeClock();
    rig = await startRig({ clock, connector: { greetingDelayMs: 3000 } });
    const client = await rig.connect();
    await eventually(() => clock.sleepers() === 2);
    await clock.advance(2999);
    expect(client.received()).toBe("");
    await clock.advance(1);
    expect(await client.reply()).toBe("220 mx.example ESMTP Postroom");
  });

  test("a client that talks during greetingDelay is refused", async () => {
    const clock = createFakeClock();
    rig = await startRig({ clock, connector: { greetingDelayMs: 3000 } });
    const client = await rig.connect();
    client.write("EHLO me\r\n");
    expect(await client.rest()).toBe("554 5.5.0 Command sent before the greeting\r\n");
    await eventually(() => rig?.events.includes("closed"));
    expect(rig.events).toContain("reject:CONNECT 554");
  });

  test("a client whose octets lie in the socket before the greeting is refused, without any delay", async () => {
    rig = await startRig({
      handler: { onConnect: () => new Promise((resolve) => setTimeout(() => resolve(undefined), 100)) },
    });
    const client = await rig.connect();
    client.write("EHLO me\r\n");
    expect(await client.rest()).toBe("554 5.5.0 Command sent before the greeting\r\n");
  });

  test("octets that came with the PROXY header came before the greeting", async () => {
    rig = await startRig({ earlyBytes: Buffer.from("EHLO me\r\n") });
    const client = await rig.connect();
    expect(await client.rest()).toBe("554 5.5.0 Command sent before the greeting\r\n");
  });
});
