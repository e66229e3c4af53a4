/** Contract with nodemailer's insides (docs/decisions/0060), and what the session does with hostile replies. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { type SinkOptions, startSink } from "../../test/helpers/sink.ts";
import type { ClientOptions } from "./client-options.ts";
import { openClient, SmtpClient } from "./smtp-client.ts";

const open: { close(): void | Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const PATIENT = { connectMs: 40_000, replyMs: 40_000, finalMs: 40_000 };
/** For what is never answered. */
const HASTY = { connectMs: 1000, replyMs: 300, finalMs: 300 };

function clientOptions(port: number): ClientOptions {
  return {
    address: "127.0.0.1",
    port,
    host: "mx.test",
    lmtp: false,
    name: "hub.test",
    localAddress: undefined,
    tls: { use: "never", implicit: false, options: {} },
    auth: undefined,
    timeouts: PATIENT,
    clock: systemClock,
    protocolLog: undefined,
  };
}

async function session(options: SinkOptions = {}, more: Partial<ClientOptions> = {}) {
  const sink = await startSink(options);
  open.push(sink);
  const client = await openClient({ ...clientOptions(sink.port), ...more });
  if (client instanceof SmtpClient) open.push(client);
  return { sink, client };
}

/** A session with a server that is one function. */
async function rawSession(serve: (socket: Socket) => Promise<void>, timeouts = PATIENT) {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    void serve(socket).catch(() => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push({ close: () => void server.close() });
  const { port } = server.address() as AddressInfo;
  const client = await openClient({ ...clientOptions(port), timeouts });
  if (client instanceof SmtpClient) open.push(client);
  return { client };
}

async function openSession(options: SinkOptions = {}, more: Partial<ClientOptions> = {}) {
  const { sink, client } = await session(options, more);
  if (!(client instanceof SmtpClient)) throw new Error(`not opened: ${JSON.stringify(client)}`);
  return { sink, client };
}

describe("nodemailer's SMTPConnection", () => {
  test("is the version whose insides were read", () => {
    const manifest = createRequire(import.meta.url)
      .resolve("nodemailer")
      .replace(/dist\/.*$/, "package.json");
    expect(JSON.parse(readFileSync(manifest, "utf8")).version).toBe("10.6.0");
  });

  test("has the members we lean on", () => {
    const connection = new SMTPConnection({ host: "127.0.0.1", port: 1 }) as unknown as Record<
      string,
      unknown
    >;
    expect(connection._remainder).toBe("");
    expect(connection._responseQueue).toEqual([]);
    expect(connection._plaintextEhlo).toBe(false);
    expect(connection.stage).toBe("init");
    expect(connection.lastServerResponse).toBe(false);
    for (const method of ["_onSocketData", "_parseEhloExtensions", "connect", "login", "close"]) {
      expect(typeof connection[method], method).toBe("function");
    }
  });
});

describe("openClient()", () => {
  test("reads extensions from their lines, not from the host's name", async () => {
    const hello =
      "250-mx-dsn.pipelining.smtputf8.test REQUIRETLS\r\n250-SIZE 1000\r\n250-AUTH=PLAIN LOGIN\r\n250 8bitmime";
    const { client } = await openSession({ script: ({ verb }) => (verb === "EHLO" ? hello : undefined) });
    expect([...client.extensions]).toEqual([
      ["SIZE", "1000"],
      ["AUTH", "PLAIN LOGIN"],
      ["8BITMIME", ""],
    ]);
  });

  test("replies that come octet by octet are read whole", async () => {
    const { client } = await rawSession(async (socket) => {
      for (const octet of "220 mx ESMTP\r\n250-mx\r\n250 DSN\r\n") {
        if (octet === "5" && !socket.bytesRead) await once(socket, "data");
        socket.write(octet);
        await nextTurn();
      }
    });
    expect(client instanceof SmtpClient && [...client.extensions.keys()]).toEqual(["DSN"]);
  });

  test("two replies in one segment go to the two commands that wait", async () => {
    const script = ({ verb, nth }: { verb: string; nth: number }) =>
      verb === "NOOP" ? { raw: nth === 1 ? "" : "250 2.0.0 one\r\n251 2.0.0 two\r\n" } : undefined;
    const { client } = await openSession({ script });
    const answers = await Promise.all([client.ask("NOOP"), client.ask("NOOP")]);
    expect(answers).toMatchObject([{ code: 250 }, { code: 251 }]);
  });

  test("a reply nobody waits for ends the connection", async () => {
    const { client } = await openSession({
      script: ({ verb }) => (verb === "NOOP" ? "250 ok\r\n250 and more" : undefined),
    });
    expect(await client.ask("NOOP")).toMatchObject({ code: 250 });
    expect(await client.ask("NOOP")).toMatchObject({ lost: true });
    expect(client.lost).toBeDefined();
  });

  test("an unanswered command is given up after the time for replies, and the socket is gone", async () => {
    const { client, sink } = await openSession(
      { script: ({ verb }) => (verb === "NOOP" ? { silent: true } : undefined) },
      { timeouts: { ...PATIENT, replyMs: 300 } },
    );
    const start = Date.now();
    expect(await client.ask("NOOP")).toEqual({ lost: true, reason: "no answer in time" });
    expect(Date.now() - start).toBeGreaterThanOrEqual(290);
    await expect.poll(() => sink.open).toBe(0);
  });

  test("a peer that trickles its EHLO reply for ever is given up", async () => {
    const { client } = await rawSession(async (socket) => {
      socket.write("220 mx\r\n");
      await once(socket, "data");
      while (!socket.destroyed) {
        socket.write("250-x\r\n");
        await delay(20);
      }
    }, HASTY);
    expect(client).toMatchObject({ answer: { lost: true, reason: "no answer in time" } });
  });

  test("after a loss everything answers at once with it", async () => {
    const { client } = await openSession();
    client.close();
    expect(await client.ask("NOOP")).toMatchObject({ lost: true });
    expect(client.write(Buffer.from("x"))).toBeUndefined();
    expect(await client.reset()).toBe(false);
    await client.quit();
  });

  test("quit() does not wait for ever", async () => {
    const { client, sink } = await openSession({
      script: ({ verb }) => (verb === "QUIT" ? { close: true } : undefined),
    });
    await client.quit();
    await expect.poll(() => sink.open).toBe(0);
  });

  test("nobody listening is a failure to connect", async () => {
    const { sink } = await session();
    await sink.close();
    open.length = 0;
    const failure = await openClient(clientOptions(sink.port));
    expect(failure).toMatchObject({ phase: "connect", answer: { lost: true } });
  });
});
