/**
 * Alarm: rings at times fixed beforehand, to a tenth of a millisecond where the machine has a core free.
 *
 * Node's timers know whole milliseconds; a thread that waits for a lock to time out knows nanoseconds.
 *
 * @module
 */
import { Worker } from "node:worker_threads";

/** What the thread gets: milliseconds from its start, ascending. */
export type AlarmTimes = readonly number[];

/** The thread's first message is its start by process.hrtime, which is one clock for all threads; then null for each time. */
export type AlarmMessage = bigint | null;

/**
 * Calls `onRing` once for each of `times` (milliseconds from a moment soon after the call, ascending), in order, with
 * the performance.now() that it was due at. Resolves after the last.
 */
export async function ringAt(times: AlarmTimes, onRing: (due: number) => void): Promise<void> {
  const thread = new Worker(new URL("./alarm-thread.ts", import.meta.url), { workerData: times });
  const left = times.values();
  let start = 0;
  thread.on("message", (message: AlarmMessage) => {
    if (message === null) onRing(start + (left.next().value as number));
    else start = performance.now() + Number(message - process.hrtime.bigint()) / 1e6;
  });
  await new Promise<void>((resolve, reject) => {
    thread.on("error", reject);
    thread.on("exit", () => resolve());
  });
}
