import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { collect, idsOf, memoryLog, queueItem } from "../../test/helpers/queue-items.ts";
import { openAdmin, type QueueAdmin } from "./admin.ts";
import type { Queue } from "./mod.ts";
import { openQueue } from "./queue.ts";

let root: string;
let directory: string;
let queue: Queue;
let admin: QueueAdmin;
let log: ReturnType<typeof memoryLog>;
let removed: unknown[];

const options = { clock: systemClock, log: memoryLog() };

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "postroom-admin-"));
  directory = join(root, "state");
  log = memoryLog();
  removed = [];
  await start();
  await queue.apply({
    insert: [
      queueItem({ id: "a" }),
      queueItem({ id: "b", to: "a.example", status: "Retry", dueAt: Date.now() + 1e6 }),
    ],
  });
  admin = openAdmin(directory, options);
});

afterEach(async () => {
  admin.close();
  await queue.close();
  rmSync(root, { recursive: true });
});

async function start(): Promise<void> {
  queue = await openQueue({
    ...{ directory, clock: systemClock, log },
    async onRemove(items, withDsn) {
      removed.push([idsOf(items), withDsn]);
      await queue.apply({ remove: idsOf(items) });
    },
  });
}

/** Says something to the socket and hears one line. */
function say(text: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(join(directory, "admin.sock"), () => socket.write(text));
    let heard = "";
    socket.on("data", (chunk) => {
      heard += chunk;
      if (heard.endsWith("\n")) socket.end();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(heard === "" ? undefined : JSON.parse(heard)));
  });
}

describe.each([{ state: "running" }, { state: "stopped" }])(
  "openAdmin() on a $state transport",
  ({ state }) => {
    beforeEach(async () => {
      if (state === "stopped") await queue.close();
    });

    test("reads summary, listing and messages", async () => {
      expect(
        admin
          .summary()
          .map(({ queue: kind }) => kind)
          .sort(),
      ).toEqual(["Delivery", "Submission"]);
      expect(admin.list({ limit: 9, offset: 0, queue: "Delivery" }).map(({ id }) => id)).toEqual(["b"]);
      expect(admin.get("a")?.message.id).toBe("a");
      expect(admin.get("nobody")).toBeUndefined();
      expect(admin.envelope("a")?.sender).toEqual({ localPart: "ann", domain: "contoso.example" });
    });

    test("changes, and sees its own changes", async () => {
      expect(await admin.suspend({ ids: ["a"] })).toBe(1);
      expect(admin.get("a")?.status).toBe("Suspended");
      expect(await admin.resume({})).toBe(1);
      expect(await admin.retry({ queue: "Delivery" }, { resubmit: true })).toBe(1);
      expect(admin.get("b")).toMatchObject({ queue: "Submission", attempts: 0 });
      expect(await admin.remove({ ids: ["a"] }, { withDsn: false })).toBe(1);
      expect(admin.get("a")).toBeUndefined();
    });

    test("exports the message as it is on the wire", async () => {
      expect((await collect(admin.export("a"))).toString("latin1")).toBe(
        "Received: from client.example\r\n\tby mx.contoso.example;\r\nSubject: Hello\r\n\r\nHello\r\n",
      );
      await expect(collect(admin.export("nobody"))).rejects.toThrow(/not in the queue/);
    });
  },
);

describe("openAdmin()", () => {
  test("a body file is exported too", async () => {
    const writer = queue.writeBody();
    const octets = Buffer.alloc(100_000, "line\r\n");
    await writer.write(octets);
    await queue.apply({ insert: [queueItem({ id: "big", body: await writer.finish() })] });
    expect((await collect(admin.export("big"))).subarray(-octets.length)).toEqual(octets);
  });

  test("remove with a DSN is done by the transport, and refused without one", async () => {
    expect(await admin.remove({ ids: ["a"] }, { withDsn: true })).toBe(1);
    expect(removed).toEqual([[["a"], true]]);
    await queue.close();
    await expect(admin.remove({ ids: ["b"] }, { withDsn: true })).rejects.toThrow(/no transport is running/);
    expect(admin.get("b")).toBeDefined();
  });

  test("without a queue it says so", () => {
    expect(() => openAdmin(join(root, "none"), options)).toThrow(/there is none/);
  });

  test("a socket that a dead transport left behind counts as stopped", async () => {
    await queue.close();
    writeFileSync(join(directory, "admin.sock"), "");
    expect(await admin.suspend({ ids: ["a"] })).toBe(1);
  });

  test("a state folder with a long path works", async () => {
    await queue.close();
    directory = join(root, "x".repeat(120));
    mkdirSync(directory);
    await start();
    await queue.apply({ insert: [queueItem({ id: "deep" })] });
    const other = openAdmin(directory, options);
    expect(await other.suspend({ ids: ["deep"] })).toBe(1);
    expect((await queue.store.get("deep"))?.status).toBe("Suspended");
    other.close();
  });
});

describe("the admin socket", () => {
  test("is open to its owner only", () => {
    expect(statSync(join(directory, "admin.sock")).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  test.each([
    { name: "no JSON", text: "hello\n" },
    { name: "no verb", text: "{}\n" },
    { name: "no object", text: "null\n" },
    { name: "an unknown option", text: '{"verb":"suspend","filter":{},"all":true}\n' },
    { name: "ids that are no texts", text: '{"verb":"suspend","filter":{"ids":[1]}}\n' },
    { name: "a next hop that is no text", text: '{"verb":"suspend","filter":{"nextHop":{}}}\n' },
    { name: "an unknown verb", text: '{"verb":"drop","filter":{}}\n' },
    { name: "a filter that is misspelt", text: '{"verb":"remove","withDsn":false,"filter":{"id":["a"]}}\n' },
    { name: "an unknown queue", text: '{"verb":"suspend","filter":{"queue":"Spam"}}\n' },
    { name: "an option left out", text: '{"verb":"remove","filter":{}}\n' },
  ])("a request with $name is refused and changes nothing", async ({ text }) => {
    expect(await say(text)).toMatchObject({ ok: false, error: expect.any(String) });
    expect((await queue.store.select({})).map(({ id }) => id)).toEqual(["a", "b"]);
  });

  test("a line without end is cut off, and others are still answered", async () => {
    await expect(say("x".repeat(6 * 1024 * 1024)).catch(() => undefined)).resolves.toBeUndefined();
    expect(await say('{"verb":"suspend","filter":{"ids":["a"]}}\n')).toEqual({ ok: true, count: 1 });
  });

  test("a connection that says nothing does not keep the queue from closing", async () => {
    const socket = createConnection(join(directory, "admin.sock"));
    await new Promise((resolve) => socket.once("connect", resolve));
    await queue.close();
    socket.destroy();
  });
});
