/**
 * Queue bench: durable messages a second through an open queue, on the disk of the folder given (default: the temporary folder).
 *
 *   node bench/queue.ts [FOLDER]
 *
 * One message is: body written, inserted (on disk), taken, removed (on disk). A few seconds a row.
 * What a backlog costs is measured by queue-backlog.ts.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../lib/clock.ts";
import { nextHop } from "../mail/next-hop.ts";
import { queueItem } from "../test/helpers/queue-items.ts";
import { openQueue, type Queue } from "../transport/queue/mod.ts";

const SECONDS = 2;
const rows = [
  { name: "4 KiB, insert and remove, one at a time", octets: 4096, concurrency: 1, categorize: false },
  { name: "4 KiB, insert and remove, 50 at once", octets: 4096, concurrency: 50, categorize: false },
  { name: "4 KiB, insert and remove, 200 at once", octets: 4096, concurrency: 200, categorize: false },
  { name: "4 KiB, insert, pass on, remove, 50 at once", octets: 4096, concurrency: 50, categorize: true },
  {
    name: "32 KiB (inline), insert and remove, 50 at once",
    octets: 32_768,
    concurrency: 50,
    categorize: false,
  },
  {
    name: "100 KiB (file), insert and remove, 50 at once",
    octets: 102_400,
    concurrency: 50,
    categorize: false,
  },
];

const quiet = { info() {}, warn: console.error, error: console.error };
const directory = mkdtempSync(join(process.argv[2] ?? tmpdir(), "postroom-queue-bench-"));
const queue = await openQueue({ directory, clock: systemClock, log: quiet });
await run({ ...rows[1]!, name: "" }, 0.5);
for (const row of rows) await run(row, SECONDS);
await queue.close();
rmSync(directory, { recursive: true });

async function run(
  { name, octets, concurrency, categorize }: (typeof rows)[number],
  seconds: number,
): Promise<void> {
  const body = Buffer.alloc(octets, "0123456789abcdef");
  const cpu = process.cpuUsage();
  const start = performance.now();
  let count = 0;
  const session = async () => {
    while (performance.now() - start < seconds * 1000) {
      await sendThrough(queue, body, categorize);
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, session));
  const elapsed = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  if (name === "") return;
  const rate = Math.round(count / elapsed).toLocaleString("en");
  console.log(
    `${name.padEnd(50)} ${rate.padStart(8)}/s  ${Math.round((user + system) / count)} us of CPU each`,
  );
}

async function sendThrough(queue: Queue, octets: Buffer, categorize: boolean): Promise<void> {
  const writer = queue.writeBody();
  await writer.write(octets);
  const now = Date.now();
  const words = { body: await writer.finish(), dueAt: now, receivedAt: now, expiresAt: now + 172_800_000 };
  await queue.apply({ insert: [queueItem(words)] });
  let [item] = await queue.take("Submission", { limit: 1 });
  if (item === undefined) throw new Error("Nothing was due");
  if (categorize) {
    const hop = nextHop("default/internet", "fabrikam.example", false);
    await queue.passOn({ ...item, queue: "Delivery", nextHop: hop });
    [item] = await queue.take("Delivery", { nextHop: hop.key, limit: 1 });
    if (item === undefined) throw new Error("Nothing was due");
  }
  await queue.apply({ remove: [item.message.id] });
}
