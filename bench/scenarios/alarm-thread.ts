/** The thread behind alarm.ts. */
import { parentPort, workerData } from "node:worker_threads";
import type { AlarmMessage, AlarmTimes } from "./alarm.ts";

const START_IN_NS = 20_000_000n;

const never = new Int32Array(new SharedArrayBuffer(4));
const start = process.hrtime.bigint() + START_IN_NS;
const tell = (message: AlarmMessage) => parentPort?.postMessage(message);

tell(start);
for (const time of workerData as AlarmTimes) {
  const early = time + Number(start - process.hrtime.bigint()) / 1e6;
  if (early > 0) Atomics.wait(never, 0, 0, early);
  tell(null);
}
