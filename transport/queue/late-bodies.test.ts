import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Body } from "../../mail/message.ts";
import { nextHop } from "../../mail/next-hop.ts";
import { eventually } from "../../test/helpers/eventually.ts";
import { collect, type HandClock, handClock, memoryLog, queueItem } from "../../test/helpers/queue-items.ts";
import type { Queue } from "./mod.ts";
import { openQueue, type QueueOptions } from "./queue.ts";
import { readAfter } from "./read-after.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import type { QueueItem } from "./store.ts";

const HOP = nextHop("default/internet", "a.example", false);
const delivery = ["Delivery", { nextHop: HOP.key, limit: 100 }] as const;
const accepted = Buffer.alloc(50_000, "accepted\r\n");
const edited = Buffer.alloc(60_000, "edited\r\n");

let directory: string;
let clock: HandClock;
let queue: Queue;

const open = async (options: Partial<QueueOptions> = {}) => {
  queue = await openQueue({ directory, clock, log: memoryLog(), ...options });
};

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "postroom-late-"));
  clock = handClock();
  await open();
});

afterEach(async () => {
  await queue.close();
  rmSync(directory, { recursive: true });
});

const files = () => readdirSync(join(directory, "bodies"));
const octetsOnDisk = () =>
  files().reduce((sum, file) => sum + statSync(join(directory, "bodies", file)).size, 0);
const inMemory = (bytes: Buffer): Body => ({ kind: "inline", bytes, size: bytes.length });
const withBody = (item: QueueItem, body: Body) => ({ ...item, message: { ...item.message, body } });

/** A message with a body on disk, as it was accepted, and in the submission queue. */
async function accept(id: string): Promise<QueueItem> {
  const writer = queue.writeBody();
  await writer.write(accepted);
  await queue.apply({ insert: [queueItem({ id, body: await writer.finish() })] });
  const [item] = await queue.take("Submission", { limit: 1 });
  if (item === undefined) throw new Error("Nothing was due");
  return item;
}

/** The same, passed on with another body, that is in memory. */
async function passOn(id: string): Promise<void> {
  const item = await accept(id);
  await queue.passOn(withBody({ ...item, queue: "Delivery", nextHop: HOP }, inMemory(edited)));
}

async function takeOne(): Promise<QueueItem> {
  const [item] = await queue.take(...delivery);
  if (item === undefined) throw new Error("Nothing was due");
  return item;
}

const textOf = async ({ message }: QueueItem) => Buffer.from(await collect(queue.readBody(message.body)));

describe("a large body that is in memory", () => {
  test("is not written when its message leaves soon, and the accepted one goes with it", async () => {
    await passOn("m");
    expect(await textOf(await takeOne())).toEqual(edited);
    expect(octetsOnDisk()).toBe(accepted.length);
    await queue.apply({ remove: ["m"] });
    await eventually(() => files().length === 0);
  });

  test("is on disk when its row is, in place of the accepted one, and no more in memory", async () => {
    await passOn("m");
    clock.advance(250);
    await eventually(async () => octetsOnDisk() === accepted.length + edited.length);
    await queue.summary();
    const item = await takeOne();
    expect(item.message.body).toMatchObject({ kind: "file", size: edited.length });
    expect(await textOf(item)).toEqual(edited);
    await queue.close();
    await open();
    expect(await textOf(await takeOne())).toEqual(edited);
    await queue.apply({ remove: ["m"] });
    await eventually(() => files().length === 0);
  });

  test("is written once, though its row is written again and again", async () => {
    await passOn("m");
    const inHand = await takeOne();
    await queue.summary();
    await queue.apply({ update: [{ ...inHand, status: "Retry", attempts: 1 }] });
    expect(octetsOnDisk()).toBe(accepted.length + edited.length);
    const again = await takeOne();
    expect(again.message.body.kind).toBe("file");
    expect(await textOf(again)).toEqual(edited);
    await queue.apply({ remove: ["m"] });
    await eventually(() => files().length === 0);
  });

  test("leaves nothing when its message is removed while it is being written", async () => {
    await passOn("m");
    await takeOne();
    const summary = queue.summary();
    await queue.apply({ remove: ["m"] });
    await summary;
    expect(await queue.store.get("m")).toBeUndefined();
    // The disk did nothing wrong: the next one may wait as well.
    const before = octetsOnDisk();
    await passOn("n");
    expect(octetsOnDisk() - before).toBe(accepted.length);
    await takeOne();
    await queue.apply({ remove: ["n"] });
    await eventually(() => files().length === 0);
  });

  test("is the message's, if that is put off while it is being written", async () => {
    await passOn("m");
    const inHand = await takeOne();
    const summary = queue.summary();
    await queue.apply({ update: [{ ...inHand, status: "Retry", attempts: 1 }] });
    await summary;
    await queue.close();
    await open();
    expect(await queue.store.get("m")).toMatchObject({ status: "Retry", attempts: 1 });
    expect(await textOf(await takeOne())).toEqual(edited);
  });

  test("is its row's when an amendment writes it: nobody discards it then", async () => {
    await passOn("m");
    await queue.apply({ amend: [{ id: "m", queue: "Submission", status: "Ready", attempts: 0 }] });
    const [item] = await queue.take("Submission", { limit: 1 });
    if (item === undefined) throw new Error("Nothing was due");
    queue.discardBody(item.message.body);
    await queue.close();
    await open();
    const [again] = await queue.take("Submission", { limit: 1 });
    expect(await textOf(again as QueueItem)).toEqual(edited);
  });

  test("stays on disk until the removal is flushed that overtook its row while that was written", async () => {
    await queue.close();
    let removal: Promise<void> | undefined;
    await open({
      openStore: async (path, events) => {
        const store = readAfter(async () => undefined, await openSqliteStore(path, events));
        return {
          ...store,
          apply(change, ...rest) {
            const written = store.apply(change, ...rest);
            if (change.update !== undefined) removal = queue.apply({ remove: ["m"] }, { hurry: false });
            return written;
          },
        };
      },
    });
    const item = await accept("m");
    const large = Buffer.alloc(1_200_000, "large\r\n"); // In a file of its own.
    await queue.passOn(withBody({ ...item, queue: "Delivery", nextHop: HOP }, inMemory(large)));
    const inHand = await takeOne();
    expect(inHand.message.id).toBe("m");
    const from = performance.now();
    clock.advance(250);
    await eventually(() => removal !== undefined);
    await removal;
    for (let round = 0; round < 10; round++) await queue.summary();
    // It is flushed by itself after a second, and a slow machine may be that late with its look.
    const isThere = octetsOnDisk() === accepted.length + large.length;
    expect(isThere || performance.now() - from >= 1000).toBe(true);
    await eventually(() => files().length === 0);
  });

  test("is written again when what was written of it is gone", async () => {
    await passOn("m");
    const first = await takeOne();
    await queue.summary();
    await queue.apply({ update: [withBody(first, inMemory(Buffer.from("Short\r\n")))] });
    await takeOne();
    const copy = { ...first, message: { ...first.message, id: "n" } };
    await queue.apply({ update: [first], insert: [copy] });
    const [m, n] = await queue.take(...delivery);
    expect(await textOf(m as QueueItem)).toEqual(edited);
    for (const taken of [m, n])
      expect((await queue.store.get(taken?.message.id ?? ""))?.message.body).toEqual(taken?.message.body);
  });

  test("is on disk at once where rows are written at once: two copies share it", async () => {
    const item = await accept("m");
    const body = inMemory(edited);
    const copy = (id: string) => {
      const { message } = withBody(item, body);
      return { ...item, message: { ...message, id }, queue: "Delivery", nextHop: HOP } as const;
    };
    await queue.apply({ update: [copy("m")], insert: [copy("n")] });
    expect(octetsOnDisk()).toBe(accepted.length + edited.length);
    const [m, n] = await queue.take(...delivery);
    expect(m?.message.body).toEqual(n?.message.body);
    expect(m?.message.body.kind).toBe("file");
    await queue.apply({ remove: ["m"] });
    expect(await textOf(n as QueueItem)).toEqual(edited);
    await queue.apply({ remove: ["n"] });
    await eventually(() => files().length === 0);
  });

  test("waits in memory up to 32 MiB in all; beyond that rows are written at once", async () => {
    const large = Buffer.alloc(1_000_000, "x");
    for (let number = 0; number < 34; number++) {
      const item = await accept(`m${number}`);
      await queue.passOn(withBody({ ...item, queue: "Delivery", nextHop: HOP }, inMemory(large)));
    }
    expect(octetsOnDisk() - 34 * accepted.length).toBe(0);
    const item = await accept("last");
    await queue.passOn(withBody({ ...item, queue: "Delivery", nextHop: HOP }, inMemory(large)));
    expect(octetsOnDisk() - 35 * accepted.length).toBe(large.length);
  });

  test("that cannot be written fails its change; the message stays as it was", async () => {
    const item = await accept("m");
    await queue.close();
    await open();
    const [again] = await queue.take("Submission", { limit: 1 });
    rmSync(join(directory, "bodies"), { recursive: true });
    const update = [withBody({ ...item, queue: "Delivery", nextHop: HOP }, inMemory(edited))];
    await expect(queue.apply({ update })).rejects.toThrow("Cannot write a body file");
    expect((await queue.store.get("m"))?.queue).toBe("Submission");
    expect(again?.message.id).toBe("m");
  });
});
