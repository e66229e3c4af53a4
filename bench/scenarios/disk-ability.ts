/** What the disk of the queues does alone: small flushes side by side, and large writes. */
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { guardFolder } from "../../test/helpers/process-guard.ts";
import { temporaryFolder } from "../processes.ts";

export interface DiskAbility {
  /** Appends of 4 KiB with fdatasync, by one writer and by four, each to its own file. */
  readonly flushesAlone: number;
  readonly flushesPerSecond: number;
  /** 8 MiB at a time with fdatasync. */
  readonly bytesPerSecond: number;
}

export async function diskAbility(milliseconds: number): Promise<DiskAbility> {
  const folder = temporaryFolder();
  guardFolder(folder.path);
  const small = Buffer.alloc(4096, "x");
  const large = Buffer.alloc(8 * 2 ** 20, "x");
  const rateOf = async (writers: number, octets: Buffer) => {
    const counts = await Promise.all(
      Array.from({ length: writers }, (_, n) =>
        appends(join(folder.path, `${octets.length}-${n}`), octets, milliseconds),
      ),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  };
  try {
    return {
      flushesAlone: await rateOf(1, small),
      flushesPerSecond: await rateOf(4, small),
      bytesPerSecond: (await rateOf(1, large)) * large.length,
    };
  } finally {
    folder.remove();
  }
}

/** A second. */
async function appends(file: string, octets: Buffer, milliseconds: number): Promise<number> {
  const handle: FileHandle = await open(file, "w");
  const began = performance.now();
  let count = 0;
  while (performance.now() - began < milliseconds) {
    await handle.write(octets);
    await handle.datasync();
    count += 1;
  }
  const seconds = (performance.now() - began) / 1000;
  await handle.close();
  return count / seconds;
}
