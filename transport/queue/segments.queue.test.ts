/** Bodies in segments as the queue and its administrator see them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../../test/helpers/eventually.ts";
import { collect, handClock, idsOf, memoryLog, queueItem } from "../../test/helpers/queue-items.ts";
import { openAdmin } from "./admin.ts";
import type { Queue } from "./mod.ts";
import { openQueue } from "./queue.ts";

let directory: string;
let queue: Queue;

const clock = handClock();
const open = async () => {
  queue = await openQueue({ directory, clock, log: memoryLog() });
};
const reopen = async () => {
  await queue.close();
  await open();
};

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "postroom-segments-"));
  await open();
});

afterEach(async () => {
  await queue.close();
  rmSync(directory, { recursive: true });
});

const write = async (octets: Buffer) => {
  const writer = queue.writeBody();
  await writer.write(octets);
  return await writer.finish();
};
const files = () => readdirSync(join(directory, "bodies"));
const segmentPath = () => join(directory, "bodies", files()[0] ?? "");

test("two bodies share a segment; it goes with the last message", async () => {
  const [a, b] = await Promise.all([write(Buffer.alloc(100_000, "a")), write(Buffer.alloc(100_000, "b"))]);
  await queue.apply({ insert: [queueItem({ id: "a", body: a }), queueItem({ id: "b", body: b })] });
  expect(files()).toHaveLength(1);
  await reopen();
  expect(queue.diskUsed()).toBeGreaterThan(200_000);
  expect(await collect(queue.readBody(a))).toEqual(Buffer.alloc(100_000, "a"));
  await queue.apply({ remove: ["a"] });
  expect(await collect(queue.readBody(b))).toEqual(Buffer.alloc(100_000, "b"));
  await queue.apply({ remove: ["b"] });
  await eventually(() => files().length === 0);
});

test.each([
  { name: "missing", harm: (path: string) => rmSync(path), sound: [] },
  { name: "cut short", harm: (path: string) => truncateSync(path, 150_000), sound: ["first"] },
])("messages whose segment is $name are set aside in Poison, the others go on", async ({ harm, sound }) => {
  const first = await write(Buffer.alloc(100_000));
  const last = await write(Buffer.alloc(100_000));
  await queue.apply({
    insert: [
      queueItem({ id: "first", body: first }),
      queueItem({ id: "last", body: last }),
      queueItem({ id: "small" }),
    ],
  });
  harm(segmentPath());
  await reopen();
  expect(idsOf(await queue.take("Submission", { limit: 9 }))).toEqual([...sound, "small"]);
  expect(await queue.store.get("last")).toMatchObject({ queue: "Poison", status: "Suspended" });
});

test("what is due behind damaged messages that filled a round is told of again", async () => {
  const [first, second] = [await write(Buffer.alloc(100_000)), await write(Buffer.alloc(100_000))];
  await queue.apply({
    insert: [
      queueItem({ id: "bad-1", to: "a.example", body: first }),
      queueItem({ id: "bad-2", to: "a.example", body: second }),
    ],
  });
  truncateSync(segmentPath(), 0);
  await reopen();
  const nextHop = queueItem({ to: "a.example" }).nextHop?.key ?? "";
  await queue.apply({ insert: [queueItem({ id: "sound", to: "a.example" })] });
  let told = 0;
  queue.onDue(() => {
    told += 1;
  });
  await eventually(() => told > 0);
  for (const id of ["bad-1", "bad-2"]) {
    const before = told;
    expect(await queue.take("Delivery", { nextHop, limit: 1 })).toEqual([]);
    expect(await queue.store.get(id)).toMatchObject({ queue: "Poison" });
    await eventually(() => told > before);
  }
  expect(idsOf(await queue.take("Delivery", { nextHop, limit: 1 }))).toEqual(["sound"]);
});

test("octets altered in a segment are found when read, and the next change sets that message aside", async () => {
  const [bad, good] = [await write(Buffer.alloc(100_000)), await write(Buffer.alloc(100_000))];
  await queue.apply({ insert: [queueItem({ id: "bad", body: bad }), queueItem({ id: "good", body: good })] });
  const octets = readFileSync(segmentPath());
  octets[5] = 1;
  writeFileSync(segmentPath(), octets);
  await reopen();
  const items = await queue.take("Submission", { limit: 9 });
  await expect(collect(queue.readBody(bad))).rejects.toThrow(/not those that were written/);
  await queue.apply({ update: items.map((item) => ({ ...item, status: "Retry", attempts: 1 })) });
  expect(await queue.store.get("bad")).toMatchObject({ queue: "Poison", status: "Suspended" });
  expect(await queue.store.get("good")).toMatchObject({ queue: "Submission", status: "Retry" });
});

test("an administrator exports a message out of a segment while the queue is in use", async () => {
  const body = await write(Buffer.alloc(100_000, "text\r\n"));
  await queue.apply({ insert: [queueItem({ id: "m", body })] });
  const admin = openAdmin(directory, { clock, log: memoryLog() });
  try {
    const exported = (await collect(admin.export("m"))).toString("latin1");
    expect(exported).toMatch(/^Received: [\s\S]*?\r\n\r\ntext\r\ntext/);
    expect(exported.endsWith(Buffer.alloc(100_000, "text\r\n").toString("latin1"))).toBe(true);
  } finally {
    admin.close();
  }
});

test("a program before segments, which knows version 1, is kept out: it would sweep them", async () => {
  await queue.close();
  const database = new DatabaseSync(join(directory, "queue.db"), { readOnly: true });
  expect(database.prepare("PRAGMA user_version").get()?.user_version).toBeGreaterThanOrEqual(2);
  database.close();
  await open();
});
