import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { type Reply, reply } from "../../mail/reply.ts";
import { eventually } from "../../test/helpers/eventually.ts";
import { openWire, type Wire } from "./wire.ts";

const OK = reply(250, "2.0.0", "OK");
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

interface Ends {
  readonly wire: Wire;
  readonly client: Socket;
  readonly socket: Socket;
  readonly events: string[];
  /** Lets octets() resolve. */
  release(): void;
  hold(): void;
}

/** `answer` is sent for each chunk. */
async function open(answer?: Reply): Promise<Ends> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection");
  const client = connect((server.address() as { port: number }).port, "127.0.0.1");
  const [socket] = (await accepted) as [Socket];
  const events: string[] = [];
  let gate = Promise.withResolvers<void>();
  gate.resolve();
  const endpoints = { clientAddress: "192.0.2.1", clientPort: 1, localAddress: "192.0.2.2", localPort: 25 };
  const wire = openWire(
    socket,
    { id: "1", endpoints, secureContext: () => undefined },
    {
      octets(chunk) {
        events.push(chunk.toString("latin1"));
        if (answer !== undefined) wire.send(answer);
        return gate.promise;
      },
      ended: () => void events.push("ended"),
      secured: () => void events.push("secured"),
      failed: (error) => void events.push(`failed ${(error as NodeJS.ErrnoException).code}`),
      closed: () => void events.push("closed"),
    },
  );
  cleanups.push(
    () => client.destroy(),
    () => socket.destroy(),
    () => server.close(),
  );
  client.on("error", () => undefined);
  const hold = () => {
    gate = Promise.withResolvers<void>();
  };
  return { wire, client, socket, events, hold, release: () => gate.resolve() };
}

describe("openWire()", () => {
  test("nothing is told before open(), and nothing is written by itself", async () => {
    const { wire, client, socket, events } = await open();
    const seen: string[] = [];
    client.on("data", (chunk) => seen.push(chunk.toString()));
    client.write("one");
    await eventually(() => socket.readableLength === 3);
    expect(events).toEqual([]);
    wire.open();
    await eventually(() => events.length === 1);
    expect(events).toEqual(["one"]);
    expect(seen).toEqual([]);
  });

  test("the next octets wait for the promise, and hasMore() knows of them", async () => {
    const { wire, client, events, hold, release } = await open();
    wire.open();
    hold();
    client.write("one");
    await eventually(() => events.length === 1);
    expect(wire.hasMore()).toBe(false);
    client.write("two");
    await eventually(() => wire.hasMore());
    client.write("three");
    expect(events).toEqual(["one"]);
    release();
    await eventually(() => events.join("") === "onetwothree");
  });

  test("behind one chunk that waits nothing more is read until it is taken", async () => {
    const { wire, client, socket, events, hold, release } = await open();
    wire.open();
    hold();
    const megabyte = Buffer.alloc(2 ** 20, "x");
    for (let n = 0; n < 16; n++) client.write(megabyte);
    client.end();
    await eventually(() => socket.isPaused());
    const { bytesRead } = socket;
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    expect([events.length, client.writableLength > 0]).toEqual([1, true]);
    expect(socket.bytesRead - bytesRead).toBeLessThanOrEqual(65_536);
    release();
    await eventually(() => events.includes("ended"));
    expect(events.join("").length).toBe(16 * 2 ** 20 + "ended".length);
  });

  test("a reply leaves at once although the octets behind its command wait", async () => {
    const { wire, client, events, hold } = await open(OK);
    const seen: string[] = [];
    client.on("data", (chunk) => seen.push(chunk.toString()));
    wire.open();
    hold();
    client.write("one");
    await eventually(() => seen.join("") === "250 2.0.0 OK\r\n");
    expect(events).toEqual(["one"]);
  });

  test("replies of one turn leave in one packet, in order", async () => {
    const { wire, client } = await open();
    const seen: string[] = [];
    client.on("data", (chunk) => seen.push(chunk.toString()));
    wire.open();
    wire.send(OK);
    wire.send(reply(250, undefined, ["a", "b"]));
    await eventually(() => seen.join("").length === 28);
    expect(seen).toEqual(["250 2.0.0 OK\r\n250-a\r\n250 b\r\n"]);
  });

  test("close() sends what is left, and reads nothing more", async () => {
    const { wire, client, events } = await open();
    let seen = "";
    client.on("data", (chunk) => {
      seen += chunk.toString();
    });
    wire.open();
    wire.send(OK);
    wire.close();
    client.write("late");
    client.end();
    await eventually(() => events.includes("closed"));
    expect(seen).toBe("250 2.0.0 OK\r\n");
    expect(events).toEqual(["closed"]);
  });

  test("leave() sends what is left and closes without waiting for the client", async () => {
    const { wire, client, socket, events } = await open();
    let seen = "";
    client.on("data", (chunk) => {
      seen += chunk.toString();
    });
    wire.open();
    wire.send(OK);
    wire.leave();
    expect(socket.destroyed).toBe(true);
    await eventually(() => events.includes("closed") && client.readableEnded);
    expect(seen).toBe("250 2.0.0 OK\r\n");
  });

  test("leave() waits for the client where octets of its lie unread, and still sends everything", async () => {
    const { wire, client, socket, events, hold } = await open();
    let seen = "";
    client.on("data", (chunk) => {
      seen += chunk.toString();
    });
    wire.open();
    hold();
    client.write("QUIT");
    await eventually(() => events.length === 1);
    client.write("more");
    await eventually(() => wire.hasMore());
    wire.send(OK);
    wire.leave();
    expect(socket.destroyed).toBe(false);
    client.end();
    await eventually(() => events.includes("closed"));
    expect(seen).toBe("250 2.0.0 OK\r\n");
  });

  test("a closed half is told after everything before it, and replies still go out", async () => {
    const { wire, client, events, hold, release } = await open();
    let seen = "";
    client.on("data", (chunk) => {
      seen += chunk.toString();
    });
    wire.open();
    hold();
    client.end("one");
    await eventually(() => events.length === 1);
    wire.send(OK);
    await eventually(() => seen !== "");
    release();
    await eventually(() => events.includes("ended"));
    expect(events).toEqual(["one", "ended"]);
    wire.close();
    await eventually(() => events.includes("closed"));
  });

  test("a reset is a failure, then closed, once", async () => {
    const { wire, client, events } = await open();
    wire.open();
    client.resetAndDestroy();
    await eventually(() => events.includes("closed"));
    expect(events).toEqual(["failed ECONNRESET", "closed"]);
    wire.send(OK);
    wire.close();
    wire.destroy();
  });

  test("drained() waits for a client that does not read, and ends with it", async () => {
    const { wire, client, events } = await open();
    client.pause();
    wire.open();
    expect(wire.drained()).toBeUndefined();
    const long = reply(
      250,
      undefined,
      Array.from({ length: 20_000 }, () => "x".repeat(400)),
    );
    wire.send(long);
    await eventually(() => wire.drained() !== undefined);
    const drained = wire.drained();
    client.resetAndDestroy();
    wire.destroy();
    await drained;
    await eventually(() => events.includes("closed"));
  });

  test("startTls() without a certificate does nothing", async () => {
    const { wire } = await open();
    wire.open();
    expect(wire.startTls()).toBe(false);
  });
});
