/**
 * Backlog bench: a next hop is dead and messages pile up; then it is back.
 *
 *   node bench/queue-backlog.ts [MESSAGES] [FOLDER]
 *
 * Through an open queue alone, no SMTP: messages a second taken into an empty queue and into the full one, what the
 * administrator waits for, memory, and messages a second handed out from the disk after a restart. CPU is that of the
 * main thread and of all others (the queue's, garbage collection), a message.
 *
 * @module
 */
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../lib/clock.ts";
import { createIds } from "../lib/ids.ts";
import { nextHop } from "../mail/next-hop.ts";
import { queueItem } from "../test/helpers/queue-items.ts";
import { openQueue, type Queue } from "../transport/queue/mod.ts";

const MESSAGES = Number(process.argv[2] ?? 100_000);
const SESSIONS = 50;
const SLICE = 10_000;

const quiet = { info() {}, warn: console.error, error: console.error };
const directory = mkdtempSync(join(process.argv[3] ?? tmpdir(), "postroom-backlog-bench-"));
const open = () => openQueue({ directory, clock: systemClock, log: quiet });
const ids = createIds(systemClock);
const hop = nextHop("default/internet", "fabrikam.example", false);
const octets = Buffer.alloc(4096, "0123456789abcdef");

let queue = await open();
await measure("warm-up: relayed", SLICE, (count) => relay(queue, count));
const writtenBefore = octetsWritten();
await measure("relayed, queue empty", SLICE, (count) => relay(queue, count));
console.log(
  `  ${Math.round((octetsWritten() - writtenBefore) / SLICE).toLocaleString("en")} octets written to disk each`,
);
await measure("accepted, the first", SLICE, (count) => accept(queue, count));
if (MESSAGES > 2 * SLICE) {
  await measure("accepted, until nearly full", MESSAGES - 2 * SLICE, (count) => accept(queue, count));
}
const before = octetsWritten();
await measure("accepted, the last", SLICE, (count) => accept(queue, count));
console.log(
  `  ${Math.round((octetsWritten() - before) / SLICE).toLocaleString("en")} octets written to disk each`,
);
const database = statSync(join(directory, "queue.db")).size;
console.log(`memory ${megabytes(process.memoryUsage.rss())} MB, database ${megabytes(database)} MB`);
await time("summary", () => queue.summary());
await time("list of 100", () => queue.store.list({ limit: 100, offset: 0 }));
await time("list of all", () => queue.store.list({ limit: MESSAGES, offset: 0 }));
await time("nothing overdue", () =>
  queue.takeOverdue({ receivedBefore: Date.now() - 3_600_000, limit: 200 }),
);
await queue.close();
queue = await time("opened again", open);
const left = (await queue.summary()).reduce((sum, { messages }) => sum + messages, 0);
await measure("handed out and removed, from disk", left, (count) => drain(queue, count));
console.log(`memory ${megabytes(process.memoryUsage.rss())} MB`);
await queue.close();
rmSync(directory, { recursive: true });

async function measure(name: string, count: number, work: (count: number) => Promise<void>): Promise<void> {
  const own = process.threadCpuUsage();
  const all = process.cpuUsage();
  const start = performance.now();
  await work(count);
  const seconds = (performance.now() - start) / 1000;
  const main = sum(process.threadCpuUsage(own)) / count;
  const others = sum(process.cpuUsage(all)) / count - main;
  console.log(
    `${name.padEnd(36)} ${Math.round(count / seconds)
      .toLocaleString("en")
      .padStart(8)}/s  CPU main ${main.toFixed(0)} us, others ${others.toFixed(0)} us`,
  );
}

async function time<Result>(name: string, run: () => Promise<Result>): Promise<Result> {
  const start = performance.now();
  const result = await run();
  console.log(`${name.padEnd(36)} ${(performance.now() - start).toFixed(1).padStart(8)} ms`);
  return result;
}

/** Sessions side by side, each its share. */
async function share(count: number, step: () => Promise<void>): Promise<void> {
  let begun = 0;
  const session = async () => {
    while (begun < count) {
      begun += 1;
      await step();
    }
  };
  await Promise.all(Array.from({ length: SESSIONS }, session));
}

/** As a connection and the categorizer do it; the next hop takes none. */
async function accept(into: Queue, count: number): Promise<void> {
  await share(count, async () => {
    await insert(into);
    await categorize(into);
  });
}

async function insert(into: Queue): Promise<void> {
  const writer = into.writeBody();
  await writer.write(Buffer.from(octets));
  const now = Date.now();
  const words = { id: ids.next(), networkMessageId: ids.uuid(), dueAt: now, receivedAt: now };
  await into.apply({
    insert: [queueItem({ ...words, expiresAt: now + 172_800_000, body: await writer.finish() })],
  });
}

async function categorize(from: Queue): Promise<void> {
  for (const item of await from.take("Submission", { limit: 1 })) {
    await from.passOn({ ...item, queue: "Delivery", nextHop: hop });
  }
}

async function relay(through: Queue, count: number): Promise<void> {
  await share(count, async () => {
    await insert(through);
    await categorize(through);
    for (const { message } of await through.take("Delivery", { nextHop: hop.key, limit: 1 })) {
      await through.apply({ remove: [message.id] }, { hurry: false });
    }
  });
}

async function drain(from: Queue, count: number): Promise<void> {
  await share(count, async () => {
    const items = await from.take("Delivery", { nextHop: hop.key, limit: 1 });
    for (const { message } of items) await from.apply({ remove: [message.id] }, { hurry: false });
  });
}

/** By this process, to disks: Linux tells. */
function octetsWritten(): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1] ?? Number.NaN);
}

function sum({ user, system }: { readonly user: number; readonly system: number }): number {
  return user + system;
}

function megabytes(octets: number): number {
  return Math.round(octets / 1024 / 1024);
}
