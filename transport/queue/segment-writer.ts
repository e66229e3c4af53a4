/**
 * Segment writer: appends bodies to the open segment. Those that wait together share one write and one flush.
 *
 * append() resolves when the octets, and the segment's name in its folder, are on disk. A segment is sealed
 * when it is full, at the first fault (after a failed flush nobody knows what of it is on disk), and when
 * nothing lives in it for a while. A new process begins a new one: a torn end is never written after.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { segmentBodyName, segmentFileName } from "./body-name.ts";
import type { Segment, SegmentLedger } from "./segment-ledger.ts";

export interface WholeBody {
  readonly pieces: readonly Uint8Array[];
  readonly size: number;
  readonly checksum: number;
}

export interface SegmentWriterParts {
  readonly directory: string;
  readonly ledger: SegmentLedger;
  readonly flushFolder: () => Promise<void>;
  readonly segmentOctets: number;
  /** It takes no more bodies. */
  onSealed(segment: Segment): void;
}

interface Waiting {
  readonly body: WholeBody;
  resolve(name: string): void;
  reject(error: unknown): void;
}

interface OpenSegment {
  readonly segment: Segment;
  readonly handle: FileHandle;
  /** Its name is on disk. */
  readonly named: Promise<void>;
}

const GROUP_OCTETS = 8 * 1024 * 1024;
const IDLE_MS = 1000;

export class SegmentWriter {
  readonly #parts: SegmentWriterParts;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #open: OpenSegment | undefined;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(parts: SegmentWriterParts) {
    this.#parts = parts;
  }

  /** The name of the body. */
  append(body: WholeBody): Promise<string> {
    if (this.#closed) return Promise.reject(new Error("The queue is closed"));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ body, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  /** Nothing lives in the open segment: it goes when that is still so a little later. */
  sealWhenIdle(): void {
    this.#idle ??= setTimeout(() => {
      this.#idle = undefined;
      if (this.#writing === undefined && this.#open?.segment.living.size === 0) void this.#seal();
    }, IDLE_MS).unref();
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    await this.#writing;
    await this.#seal();
  }

  /** Never rejects: each body hears of its own fault. */
  async #writeAll(): Promise<void> {
    // Everything that this turn appends is in the first group.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) await this.#writeGroup(this.#nextGroup());
    this.#writing = undefined;
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    try {
      const bodies = group.map(({ body }) => body);
      const names = await this.#write(await this.#openSegment(), bodies);
      for (const [index, { resolve }] of group.entries()) resolve(names[index] ?? "");
    } catch (error) {
      await this.#giveUp();
      for (const { reject } of group) reject(error);
    }
  }

  #nextGroup(): Waiting[] {
    let octets = 0;
    let count = 0;
    while (count < this.#waiting.length && octets < GROUP_OCTETS) {
      octets += this.#waiting[count++]?.body.size ?? 0;
    }
    return this.#waiting.splice(0, count);
  }

  async #openSegment(): Promise<OpenSegment> {
    if (this.#open !== undefined) return this.#open;
    const { directory, ledger, flushFolder } = this.#parts;
    const id = randomUUID();
    const handle = await open(join(directory, segmentFileName(id)), "wx", 0o600);
    const named = flushFolder();
    named.catch(() => undefined); // Who writes to it hears of it.
    this.#open = { segment: ledger.open(id), handle, named };
    return this.#open;
  }

  async #write({ segment, handle, named }: OpenSegment, bodies: readonly WholeBody[]): Promise<string[]> {
    const { ledger, segmentOctets } = this.#parts;
    await writeFully(
      handle,
      bodies.flatMap(({ pieces }) => pieces),
      segment.length,
    );
    await Promise.all([handle.datasync(), named]);
    const names = bodies.map(({ size, checksum }) => {
      const name = segmentBodyName(segment.id, { offset: segment.length, size, checksum });
      ledger.add(segment, { name, size });
      ledger.grow(segment, segment.length + size);
      return name;
    });
    if (segment.length >= segmentOctets) void this.#seal();
    return names;
  }

  /** What a failed write left is cut off: on a full disk its room is needed. */
  async #giveUp(): Promise<void> {
    const { handle, segment } = this.#open ?? {};
    await handle?.truncate(segment?.length).catch(() => undefined);
    await this.#seal();
  }

  async #seal(): Promise<void> {
    const sealed = this.#open;
    if (sealed === undefined) return;
    this.#open = undefined;
    sealed.segment.sealed = true;
    this.#parts.onSealed(sealed.segment);
    // Its octets are flushed: what closing has to say changes nothing.
    await sealed.handle.close().catch(() => undefined);
  }
}

async function writeFully(
  handle: FileHandle,
  pieces: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let rest = pieces;
  let at = position;
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, at);
    at += bytesWritten;
    rest = restOf(rest, bytesWritten);
  }
}

/** A nearly full disk takes a part first. */
function restOf(pieces: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  let left = written;
  for (const [index, piece] of pieces.entries()) {
    if (left < piece.length) return [piece.subarray(left), ...pieces.slice(index + 1)];
    left -= piece.length;
  }
  return [];
}
