/** A process killed while it passes messages on whose bodies were changed: each is whole, as it was accepted or as it was changed. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { collect, memoryLog } from "../../test/helpers/queue-items.ts";
import type { Queue } from "./mod.ts";
import { openQueue } from "./queue.ts";

let directory: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "postroom-late-crash-"));
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(directory, { recursive: true });
});

/**
 * Accepts, changes, passes on, and delivers some at once, some after their row was written, some while it is written. The
 * first one stays: "=" says that its changed row is written.
 */
function startProcess(): ChildProcess {
  const from = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const program = `
    import { openQueue } from ${from("./queue.ts")};
    import { systemClock } from ${from("../../lib/clock.ts")};
    import { nextHop } from ${from("../../mail/next-hop.ts")};
    import { queueItem } from ${from("../../test/helpers/queue-items.ts")};
    import { writeSync } from "node:fs";
    const say = (line) => writeSync(1, line + "\\n");
    const log = { info() {}, warn() {}, error() {} };
    const queue = await openQueue({ directory: ${JSON.stringify(directory)}, clock: systemClock, log });
    const hop = nextHop("default/internet", "a.example", false);
    const unreachable = nextHop("default/internet", "b.example", false);
    let parked;
    const run = process.pid + "-";
    let made = 0;
    const worker = async (_, slot) => {
      for (;;) {
        const id = run + String(made++).padStart(7, "0");
        const writer = queue.writeBody();
        writer.write(Buffer.alloc(40_000, "accepted " + id));
        await queue.apply({ insert: [queueItem({ id, body: await writer.finish() })] });
        say("+" + id);
        for (const item of await queue.take("Submission", { limit: 1 })) {
          const bytes = Buffer.alloc(50_000, "changed " + item.message.id);
          const message = { ...item.message, body: { kind: "inline", bytes, size: bytes.length } };
          const stays = parked === undefined;
          if (stays) parked = message.id;
          await queue.passOn({ ...item, message, queue: "Delivery", nextHop: stays ? unreachable : hop });
          if (!stays) continue;
          while ((await queue.store.get(message.id)).queue !== "Delivery") await systemClock.sleep(5);
          say("=" + message.id);
        }
        if (slot % 4 === 0) await systemClock.sleep(slot * 20);
        for (const { message } of await queue.take("Delivery", { nextHop: hop.key, limit: 1 })) {
          const reading = slot % 3 === 0 ? queue.summary() : undefined;
          say("?" + message.id);
          await queue.apply({ remove: [message.id] });
          say("-" + message.id);
          await reading;
        }
      }
    };
    await Promise.all(Array.from({ length: 20 }, worker));
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  return child;
}

/** Lines that a process says, until it has said so many, and that a changed row is written, and is killed. */
async function hear(lines: number): Promise<string[]> {
  const child = startProcess();
  if (child.stdout === null) throw new Error("The child has no output");
  const heard: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    heard.push(line);
    if (heard.length >= lines && heard.some((one) => one.startsWith("="))) child.kill("SIGKILL");
  }
  return heard;
}

/** Takes all of a queue; how many there are. Each must have its own body, in the form that the queue stands for. */
async function readAll(queue: Queue, kind: "Submission" | "Delivery"): Promise<number> {
  const items = await queue.take(kind, { limit: 1000 });
  const [words, size] = kind === "Submission" ? ["accepted", 40_000] : ["changed", 50_000];
  for (const { message } of items) {
    const octets = Buffer.from(await collect(queue.readBody(message.body)));
    expect(octets.equals(Buffer.alloc(size as number, `${words} ${message.id}`))).toBe(true);
  }
  return items.length;
}

test("nothing accepted is lost, nothing delivered comes back, and no body is mixed", async () => {
  const said: string[] = [];
  const all = (sign: string) =>
    new Set(said.flatMap((line) => (line.startsWith(sign) ? [line.slice(1)] : [])));
  for (const lines of [60, 300, 900]) {
    said.push(...(await hear(lines)));
    const queue = await openQueue({ directory, clock: systemClock, log: memoryLog() });
    const there = new Set((await queue.store.select({})).map(({ id }) => id));
    expect(all("+").difference(there).difference(all("?"))).toEqual(new Set());
    expect(all("-").intersection(there)).toEqual(new Set());
    const found = {
      Submission: await readAll(queue, "Submission"),
      Delivery: await readAll(queue, "Delivery"),
    };
    expect(found.Submission + found.Delivery).toBe(there.size);
    expect(all("=").difference(there)).toEqual(new Set());
    await queue.close();
  }
  expect(all("-").size).toBeGreaterThan(200);
  expect(all("=").size).toBe(3);
});
