/** SQLite worker: the thread that owns the queue's database, so that a flush never holds up the transport. */
import { parentPort, workerData } from "node:worker_threads";
import { type PackedBatch, unpackBatch } from "./batch.ts";
import { type Engine, openEngine } from "./sqlite-engine.ts";
import type { Answer, Request } from "./sqlite-thread.ts";

const IDLE_MS = 1000;
const VACUUM_PAUSE_MS = 20;

const port = parentPort;
let engine: Engine | undefined;
let idle: NodeJS.Timeout | undefined;

port?.on("message", ({ call, values }: Request) => {
  try {
    const result = answer(call, values);
    port.postMessage({ result } satisfies Answer, octetsOf(result));
  } catch (error) {
    const { message, errcode } = error as Error & { errcode?: number };
    port.postMessage({ fault: { message, code: errcode ?? 0 } } satisfies Answer);
  }
});

// Unanswered, it would have its answer from the next question.
port?.on("messageerror", (error) => {
  throw error;
});

function answer(call: Request["call"], values: Request["values"]): unknown {
  if (call === "open") {
    engine = openEngine((workerData as { path: string }).path, { readOnly: false });
    return undefined;
  }
  if (engine === undefined) throw new Error("The database is not open");
  if (call === "commit") {
    idle ??= setTimeout(vacuumWhileIdle, IDLE_MS);
    idle.refresh();
    return engine.commit(unpackBatch(values[0] as PackedBatch));
  }
  if (call === "close") {
    clearTimeout(idle);
    engine.close();
    engine = undefined;
    return undefined;
  }
  return (engine[call] as (...args: unknown[]) => unknown)(...values);
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
