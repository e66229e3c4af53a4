/**
 * Survivors: what still lives in a segment that is mostly dead moves to files of its own, named as the bodies
 * are. No row changes: who finds the segment gone looks for the file (body-read.ts). The segment goes last, so
 * a crash in between leaves both, and the next opening sweeps out the copies.
 *
 * Octets are copied as they are; whether they are sound is found out by who reads them.
 *
 * @module
 */
import { type FileHandle, open, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { type BodyPlace, parseBodyName, partFileName, segmentFileName } from "./body-name.ts";
import type { Segment } from "./segment-ledger.ts";

/** Writes the files; their names. On a fault nothing of them stays. */
export async function copySurvivors(
  directory: string,
  segment: Segment,
  flushFolder: () => Promise<void>,
): Promise<readonly BodyPlace[]> {
  const copied: BodyPlace[] = [];
  const from = await open(join(directory, segmentFileName(segment.id)));
  try {
    for (const name of [...segment.living]) {
      const place = parseBodyName(name);
      if (place === undefined || !segment.living.has(name)) continue;
      copied.push(place);
      await copyOne(directory, from, withinSegment(place, segment));
    }
    await flushFolder();
    return copied;
  } catch (error) {
    for (const { name } of copied) await unlink(join(directory, name)).catch(() => undefined);
    throw error;
  } finally {
    await from.close();
  }
}

/** Of a segment that was cut short only what is there can be copied. */
function withinSegment(place: BodyPlace, { length }: Segment): BodyPlace {
  return { ...place, size: Math.max(0, Math.min(place.size, length - place.offset)) };
}

async function copyOne(
  directory: string,
  from: FileHandle,
  { name, offset, size }: BodyPlace,
): Promise<void> {
  const octets = Buffer.allocUnsafe(size);
  const { bytesRead } = await from.read(octets, 0, size, offset);
  const part = join(directory, partFileName(name));
  const to = await open(part, "w", 0o600);
  try {
    await to.writeFile(octets.subarray(0, bytesRead));
    await to.datasync();
    await rename(part, join(directory, name));
  } catch (error) {
    await unlink(part).catch(() => undefined);
    throw error;
  } finally {
    await to.close();
  }
}
