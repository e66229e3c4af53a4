import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { nextHop } from "../../mail/next-hop.ts";
import { eventually } from "../../test/helpers/eventually.ts";
import { type HandClock, handClock, idsOf, memoryLog, queueItem } from "../../test/helpers/queue-items.ts";
import type { Queue } from "./mod.ts";
import { openQueue, type QueueOptions } from "./queue.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import type { Change, QueueItem, QueueStore, StoreEvents } from "./store.ts";

const HOP = nextHop("default/internet", "a.example", false);
const delivery = ["Delivery", { nextHop: HOP.key, limit: 100 }] as const;
const submission = ["Submission", { limit: 100 }] as const;

let directory: string;
let clock: HandClock;
let queue: Queue;
/** Changes as the store got them, in words. */
let written: string[];
let refused: (change: Change) => boolean;
let gate: Promise<void> | undefined;
let onDisk: QueueStore;

/** The store as it is, told to refuse or to wait. */
async function openStore(path: string, events: StoreEvents): Promise<QueueStore> {
  const inner = await openSqliteStore(path, events);
  onDisk = inner;
  return {
    get: (id) => inner.get(id),
    due: (query) => inner.due(query),
    overdue: (query) => inner.overdue(query),
    nextDue: (query) => inner.nextDue(query),
    select: (filter) => inner.select(filter),
    bodyFiles: () => inner.bodyFiles(),
    summary: () => inner.summary(),
    list: (filter) => inner.list(filter),
    close: () => inner.close(),
    async apply(change, held) {
      written.push(inWords(change));
      await gate;
      if (refused(change)) throw new Error("Cannot write to the queue: database or disk is full");
      await inner.apply(change, held);
    },
  };
}

function inWords({ insert = [], update = [], amend = [], remove = [] }: Change): string {
  const words = [
    ...insert.map(({ message }) => `insert ${message.id}`),
    ...update.map(({ message }) => `update ${message.id}`),
    ...amend.map(({ id }) => `amend ${id}`),
    ...remove.map((id) => `remove ${id}`),
  ];
  return words.join(", ");
}

const open = async (options: Partial<QueueOptions> = {}) => {
  queue = await openQueue({ directory, clock, log: memoryLog(), openStore, ...options });
};

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "postroom-postponed-"));
  clock = handClock();
  written = [];
  refused = () => false;
  gate = undefined;
  await open();
});

afterEach(async () => {
  await queue.close();
  rmSync(directory, { recursive: true });
});

/** One message in the submission queue, taken and passed on to its next hop. */
async function passOn(id: string, edit: (item: QueueItem) => QueueItem = (item) => item): Promise<void> {
  await queue.apply({ insert: [queueItem({ id, body: `Body of ${id}\r\n` })] });
  const [item] = await queue.take(...submission);
  if (item === undefined) throw new Error("Nothing was due");
  written.length = 0;
  await queue.passOn(edit({ ...item, queue: "Delivery", nextHop: HOP }));
}

const edited = (item: QueueItem): QueueItem => {
  const bytes = Buffer.from("Edited\r\n");
  const body = { kind: "inline", bytes, size: bytes.length } as const;
  const header = [{ name: "X-New", raw: "X-New: yes\r\n" }, ...item.message.header];
  return { ...item, message: { ...item.message, header, body } };
};

describe("passOn()", () => {
  test("hands the message to the next queue at once, and writes nothing when it is removed soon", async () => {
    await passOn("m");
    expect(queue.submissionLength()).toBe(0);
    const [item] = await queue.take(...delivery);
    expect(item?.message.id).toBe("m");
    await queue.apply({ remove: ["m"] });
    expect(written).toEqual(["remove m"]);
    expect(await queue.summary()).toEqual([]);
    expect(written).toEqual(["remove m"]);
  });

  test("writes by itself after a moment", async () => {
    await passOn("m");
    expect((await onDisk.get("m"))?.queue).toBe("Submission");
    clock.advance(250);
    await eventually(async () => (await onDisk.get("m"))?.queue === "Delivery");
    expect(idsOf(await queue.take(...delivery))).toEqual(["m"]);
  });

  test("close() writes what waits", async () => {
    await passOn("m", edited);
    await queue.close();
    await open();
    expect(queue.submissionLength()).toBe(0);
    const [item] = await queue.take(...delivery);
    expect(item?.message.header[0]?.raw).toBe("X-New: yes\r\n");
    expect(item?.message.body).toMatchObject({ size: 8 });
  });

  test.each<{ name: string; read: () => Promise<unknown> }>([
    { name: "summary()", read: () => queue.summary() },
    { name: "a listing", read: () => queue.store.list({ limit: 9, offset: 0 }) },
    { name: "select()", read: () => queue.store.select({}) },
    { name: "get()", read: () => queue.store.get("m") },
    { name: "takeOverdue()", read: () => queue.takeOverdue({ receivedBefore: 0, limit: 9 }) },
    { name: "an administrator's verb", read: () => queue.suspend({ ids: ["other"] }) },
  ])("$name sees it", async ({ read }) => {
    await passOn("m");
    await read();
    expect(written[0]).toBe("update m");
    expect((await onDisk.get("m"))?.queue).toBe("Delivery");
  });

  test("a later change of the same item is written whole, edits of before included", async () => {
    await passOn("m", edited);
    const [item] = await queue.take(...delivery);
    await queue.apply({ update: [{ ...item!, status: "Retry", attempts: 1, dueAt: clock.now() + 1000 }] });
    expect(written).toEqual(["update m"]);
    const found = await onDisk.get("m");
    expect(found).toMatchObject({ status: "Retry", attempts: 1, queue: "Delivery" });
    expect(found?.message.header[0]?.raw).toBe("X-New: yes\r\n");
    expect(found?.message.body).toMatchObject({ kind: "inline", size: 8 });
  });

  test("an amendment is made to the item as it was passed on", async () => {
    await passOn("m", edited);
    expect(await queue.suspend({})).toBe(1);
    expect(await onDisk.get("m")).toMatchObject({ status: "Suspended", queue: "Delivery" });
    expect(await queue.take(...delivery)).toEqual([]);
    expect(await queue.resume({})).toBe(1);
    const [item] = await queue.take(...delivery);
    expect(item?.message.header[0]?.raw).toBe("X-New: yes\r\n");
  });

  test("an administrator's amendment that crosses it does not lose to it", async () => {
    await passOn("m");
    await Promise.all([queue.apply({ amend: [{ id: "m", status: "Suspended" }] }), queue.summary()]);
    expect(written[0]).toBe("update m, amend m");
    expect(await onDisk.get("m")).toMatchObject({ status: "Suspended", queue: "Delivery" });
    expect(await queue.take(...delivery)).toEqual([]);
  });

  test("what was suspended while in hand is written at once, and suspended", async () => {
    await queue.apply({ insert: [queueItem({ id: "m" })] });
    const [item] = await queue.take(...submission);
    expect(await queue.suspend({ ids: ["m"] })).toBe(1);
    await queue.passOn({ ...item!, queue: "Delivery", nextHop: HOP });
    expect(await onDisk.get("m")).toMatchObject({ status: "Suspended", queue: "Delivery" });
  });

  test("an update that is on its way is not overtaken by a removal", async () => {
    await passOn("m");
    const held = Promise.withResolvers<void>();
    gate = held.promise;
    const summary = queue.summary();
    await eventually(() => written.length === 1);
    const [item] = await queue.take(...delivery);
    const removal = queue.apply({ remove: [item!.message.id] });
    held.resolve();
    await removal;
    expect(await summary).toEqual([]);
    expect(written).toEqual(["update m", "remove m"]);
  });

  test("a removal that fails leaves the message as it was passed on", async () => {
    await passOn("m", edited);
    await queue.take(...delivery);
    refused = ({ remove }) => remove !== undefined;
    await expect(queue.apply({ remove: ["m"] })).rejects.toThrow("full");
    queue.release(["m"]);
    refused = () => false;
    expect((await queue.store.get("m"))?.message.header[0]?.raw).toBe("X-New: yes\r\n");
    clock.advance(30_000);
    await eventually(async () => (await queue.take(...delivery)).length === 1);
  });

  test("on a disk that takes none the message is still delivered, the next is written at once or not passed on", async () => {
    refused = ({ update = [] }) => update.length > 0;
    await passOn("m");
    await queue.summary();
    expect((await onDisk.get("m"))?.queue).toBe("Submission");
    expect(idsOf(await queue.take(...submission))).toEqual([]);
    await expect(passOn("n")).rejects.toThrow("full");
    expect(idsOf(await queue.take(...delivery))).toEqual(["m"]);
    await queue.apply({ remove: ["m"] });
    expect(await onDisk.get("m")).toBeUndefined();
  });

  test("once nothing is left that could not be written, the next one may wait again", async () => {
    await passOn("m");
    refused = ({ update = [] }) => update.length > 0;
    await queue.summary();
    const [item] = await queue.take(...delivery);
    await queue.apply({ remove: [item?.message.id ?? ""] });
    refused = () => false;
    clock.advance(5000);
    await passOn("n");
    expect(written).not.toContain("update n");
  });

  test("without room in memory the message is found on disk", async () => {
    await queue.close();
    await open({ memoryBound: 0 });
    await passOn("m", edited);
    const [item] = await queue.take(...delivery);
    expect(written).toEqual(["update m"]);
    expect(item?.message.header[0]?.raw).toBe("X-New: yes\r\n");
  });

  test("without room in memory and on disk the message is handed out once there is some", async () => {
    await queue.close();
    await open({ memoryBound: 0 });
    refused = ({ update = [] }) => update.length > 0;
    await passOn("m");
    expect(await queue.take(...delivery)).toEqual([]);
    refused = () => false;
    const heard: string[] = [];
    queue.onDue((kind) => void heard.push(kind));
    await queue.summary();
    await eventually(() => heard.includes("Delivery"));
    expect(idsOf(await queue.take(...delivery))).toEqual(["m"]);
  });

  test("a body file of its own is named on disk before it can be lost", async () => {
    const writer = queue.writeBody();
    writer.write(Buffer.alloc(50_000, "x"));
    const body = await writer.finish();
    await passOn("m", (item) => ({ ...item, message: { ...item.message, body } }));
    expect(written).toEqual(["update m"]);
    expect((await onDisk.get("m"))?.message.body).toEqual(body);
  });
});
