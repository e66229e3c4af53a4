/** Disk usage: octets in the queue's folder, measured now and then. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../lib/clock.ts";

export interface DiskUsage {
  /** As last measured. */
  used(): number;
}

const INTERVAL_MS = 5000;

/** Measures once, then every few seconds until the signal. */
export async function watchDiskUsage(
  directory: string,
  bodiesSize: () => number,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<DiskUsage> {
  let used = 0;
  const measure = async () => {
    const sizes = await Promise.all(
      ["queue.db", "queue.db-wal"].map((file) => sizeOf(join(directory, file))),
    );
    used = sizes.reduce((sum, size) => sum + size, bodiesSize());
  };
  const keepMeasuring = async () => {
    while (!signal.aborted) {
      await clock.sleep(INTERVAL_MS, signal).catch(() => undefined); // Aborted: the loop ends.
      await measure();
    }
  };
  await measure();
  void keepMeasuring();
  return { used: () => used };
}

/** 0 for what is not there: other engines have other files, a closed database has no log. */
async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return found?.size ?? 0;
}
