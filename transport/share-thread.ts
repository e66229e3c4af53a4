/** What a worker thread runs: one share of the transport, driven by the main thread. */
import { parentPort, workerData } from "node:worker_threads";
import { createLog } from "../lib/log.ts";
import { openBase } from "./rooms.ts";
import { openShare } from "./share.ts";
import { partOf, type ThreadData } from "./share-part.ts";
import { serveShare } from "./workers/mod.ts";

const { worker, log, place, ...options } = workerData as ThreadData;
if (parentPort === null) throw new Error("This file is run by a worker thread");

serveShare(parentPort, async () => {
  const own = { ...options, ...partOf(place), log: createLog(log).child({ worker }) };
  const base = openBase(own);
  const share = await openShare(own, base);
  return {
    ...share,
    async metrics() {
      await share.metrics();
      return await base.metrics.registry.getMetricsAsJSON();
    },
  };
});
