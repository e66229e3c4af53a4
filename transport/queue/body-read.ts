/**
 * Reading a body from disk: out of its segment, or out of a file of its own.
 *
 * A survivor of a segment that is gone lies in a file named as the body (segment-survivors.ts), so a segment
 * that is missing is no fault until that file is missing too. The last octets are held back until the whole
 * is known to be sound.
 *
 * @module
 */
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { Body } from "../../mail/message.ts";
import { type BodyPlace, parseBodyName, segmentFileName } from "./body-name.ts";

/** A body file is missing, cut short or altered. */
export class DamagedBodyError extends Error {
  override readonly name = "DamagedBodyError";
  readonly file: string;

  constructor(file: string, reason: string, options?: ErrorOptions) {
    super(`Cannot read body file "${file}": ${reason}`, options);
    this.file = file;
  }
}

export interface ReadOptions {
  readonly directory: string;
  /** Called when reading finds damage. */
  onDamaged(error: DamagedBodyError): void;
}

const READ_OCTETS = 256 * 1024;

/** The octets of a body; a damaged one throws DamagedBodyError before its last octets. */
export function readBody(options: ReadOptions, body: Body): AsyncIterable<Uint8Array> {
  return body.kind === "inline" ? eachOf([body.bytes]) : readFile(options, body);
}

export async function* eachOf(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) if (piece.length > 0) yield piece;
}

/** Throws DamagedBodyError for a name that was not made here, or not for this body. */
export function placeOf({ name, size }: { readonly name: string; readonly size: number }): BodyPlace {
  const place = parseBodyName(name);
  if (place === undefined) throw new DamagedBodyError(name, "no such name is ever made");
  if (place.size !== size) throw new DamagedBodyError(name, `it has ${place.size} of ${size} octets`);
  return place;
}

/** What a failed access to a body's file means. */
export function asDamage(name: string, cause: unknown): unknown {
  const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
  return missing ? new DamagedBodyError(name, "it is missing", { cause }) : cause;
}

async function* readFile(options: ReadOptions, body: Body & { kind: "file" }): AsyncGenerator<Uint8Array> {
  let file: OpenBody | undefined;
  try {
    file = await openBody(options.directory, placeOf(body));
    yield* soundOctets(file);
  } catch (cause) {
    const error = asDamage(body.name, cause);
    if (error instanceof DamagedBodyError) options.onDamaged(error);
    throw error;
  } finally {
    await file?.handle.close();
  }
}

interface OpenBody {
  readonly handle: FileHandle;
  /** `offset` is where it lies in the file that is open. */
  readonly place: BodyPlace;
  /** The file holds nothing else. */
  readonly alone: boolean;
}

async function openBody(directory: string, place: BodyPlace): Promise<OpenBody> {
  if (place.segment !== undefined) {
    try {
      const handle = await open(join(directory, segmentFileName(place.segment)));
      return { handle, place, alone: false };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  const handle = await open(join(directory, place.name));
  return { handle, place: { ...place, offset: 0 }, alone: true };
}

async function* soundOctets({ handle, place, alone }: OpenBody): AsyncGenerator<Uint8Array> {
  const { name, offset, size, checksum } = place;
  let at = 0;
  let sum = 0;
  while (at < size) {
    // One octet more than there should be shows a file that grew.
    const buffer = Buffer.allocUnsafeSlow(Math.min(size - at + (alone ? 1 : 0), READ_OCTETS));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset + at);
    if (bytesRead === 0) throw new DamagedBodyError(name, `it has ${at} of ${size} octets`);
    const chunk = buffer.subarray(0, bytesRead);
    at += bytesRead;
    sum = crc32(chunk, sum);
    if (at >= size && (at > size || sum !== checksum)) {
      throw new DamagedBodyError(name, "its octets are not those that were written");
    }
    yield chunk;
  }
}
