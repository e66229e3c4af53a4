/**
 * SQLite worker: the thread that owns the queue's database, so that a flush never holds up the transport.
 *
 * Batches that came while it committed share the next transaction and its flush. Answers go out in the order of the
 * questions.
 *
 * @module
 */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { type PackedBatch, splitResult, unpackBatches } from "./batch.ts";
import { type Engine, openEngine } from "./sqlite-engine.ts";
import type { Answer, Request } from "./sqlite-thread.ts";

const IDLE_MS = 1000;
const VACUUM_PAUSE_MS = 20;

const port = parentPort;
let engine: Engine | undefined;
let idle: NodeJS.Timeout | undefined;

port?.on("message", (first: Request) => {
  let batches: PackedBatch[] = [];
  const commitAll = () => {
    if (batches.length > 0) reply(batches.length, () => commit(batches));
    batches = [];
  };
  for (let next: Request | undefined = first; next !== undefined; next = waiting()) {
    const { call, values } = next;
    if (call === "commit") {
      batches.push(values[0] as PackedBatch);
      continue;
    }
    commitAll();
    reply(1, () => [answer(call, values)]);
  }
  commitAll();
});

/** What has come meanwhile. */
function waiting(): Request | undefined {
  return port === null ? undefined : (receiveMessageOnPort(port)?.message as Request | undefined);
}

/** Sends so many answers, or the fault to each that has none. */
function reply(count: number, results: () => readonly unknown[]): void {
  let left = count;
  const send = (answer: Answer, moved: ArrayBuffer[] = []) => {
    port?.postMessage(answer, moved);
    left -= 1;
  };
  try {
    for (const result of results()) send({ result }, octetsOf(result));
  } catch (error) {
    const { message, errcode } = error as Error & { errcode?: number };
    while (left > 0) send({ fault: { message, code: errcode ?? 0 } });
  }
}

// Unanswered, it would have its answer from the next question.
port?.on("messageerror", (error) => {
  throw error;
});

function commit(batches: readonly PackedBatch[]): readonly unknown[] {
  const open = opened();
  idle ??= setTimeout(vacuumWhileIdle, IDLE_MS);
  idle.refresh();
  return splitResult(open.commit(unpackBatches(batches)), batches);
}

function opened(): Engine {
  if (engine === undefined) throw new Error("The database is not open");
  return engine;
}

function answer(call: Exclude<Request["call"], "commit">, values: Request["values"]): unknown {
  if (call === "open") {
    engine = openEngine((workerData as { path: string }).path, { readOnly: false });
    return undefined;
  }
  const open = opened();
  if (call === "close") {
    clearTimeout(idle);
    open.close();
    engine = undefined;
    return undefined;
  }
  return (open[call] as (...args: unknown[]) => unknown)(...values);
}

/** Gives disk back in small steps, a commit at most a step away. */
function vacuumWhileIdle(): void {
  idle = undefined;
  try {
    if (engine?.vacuum()) idle = setTimeout(vacuumWhileIdle, VACUUM_PAUSE_MS);
  } catch {
    // A full disk may refuse it. Space is given back at the next quiet moment.
  }
}

/** Octets of rows are moved, not copied. */
function octetsOf(result: unknown): ArrayBuffer[] {
  if (!Array.isArray(result)) return [];
  return result.flatMap((row: unknown) =>
    Array.isArray(row)
      ? row.flatMap((value) => (value instanceof Uint8Array ? [value.buffer as ArrayBuffer] : []))
      : [],
  );
}
