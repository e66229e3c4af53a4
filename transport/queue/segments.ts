/**
 * Segments: files shared by many bodies of middle size, from the first octet to the deletion of the last.
 *
 * A file of its own costs a body four flushes and a dozen calls; in a segment it shares one write and one
 * flush with all that wait beside it.
 *
 * @module
 */
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { type BodyPlace, segmentFileName } from "./body-name.ts";
import { type Segment, SegmentLedger } from "./segment-ledger.ts";
import { copySurvivors } from "./segment-survivors.ts";
import { SegmentWriter, type WholeBody } from "./segment-writer.ts";

export interface SegmentsOptions {
  readonly directory: string;
  readonly flushFolder: () => Promise<void>;
  /** A segment that has this many octets takes no more. */
  readonly segmentOctets?: number | undefined;
  /** Octets of dead bodies that may stay on disk, however few live. */
  readonly deadOctets?: number | undefined;
  /** A body now has a file of its own. */
  onMoved(body: BodyPlace): void;
  /** Survivors cannot be moved. */
  onFault(error: Error): void;
}

const SEGMENT_OCTETS = 16 * 1024 * 1024;

export class Segments {
  readonly #options: SegmentsOptions;
  readonly #ledger: SegmentLedger;
  readonly #writer: SegmentWriter;
  #moving: Promise<void> | undefined;
  /** After a fault: dead octets at which moving is tried again. */
  #moveAgainAt = 0;

  constructor(options: SegmentsOptions) {
    this.#options = options;
    this.#ledger = new SegmentLedger(options.deadOctets);
    this.#writer = new SegmentWriter({
      directory: options.directory,
      ledger: this.#ledger,
      flushFolder: options.flushFolder,
      segmentOctets: options.segmentOctets ?? SEGMENT_OCTETS,
      onSealed: (segment) => this.#tidy(segment),
    });
  }

  /** A segment of an earlier process, and what rows name of it. */
  adopt(id: string, length: number, bodies: readonly BodyPlace[]): void {
    const segment = this.#ledger.open(id);
    segment.sealed = true;
    this.#ledger.grow(segment, length);
    for (const body of bodies) this.#ledger.add(segment, body);
  }

  append(body: WholeBody): Promise<string> {
    return this.#writer.append(body);
  }

  /** Octets of the segment that the body lives in; undefined: in none. */
  lengthAround({ name, segment }: BodyPlace): number | undefined {
    const found = this.#ledger.find(segment);
    return found?.living.has(name) ? found.length : undefined;
  }

  /** Nobody names the body any more. False: it is in no segment. */
  drop(name: string): boolean {
    const segment = this.#ledger.drop(name);
    if (segment === undefined) return false;
    this.#tidy(segment);
    return true;
  }

  /** Octets on disk. */
  size(): number {
    return this.#ledger.length();
  }

  async close(): Promise<void> {
    await this.#writer.close();
    await this.#moving;
  }

  #tidy(segment: Segment): void {
    if (segment.living.size === 0) {
      if (segment.sealed) this.#delete(segment);
      else this.#writer.sealWhenIdle();
    }
    if (this.#moving !== undefined || this.#ledger.dead() < this.#moveAgainAt) return;
    if (this.#ledger.wasteful() !== undefined) this.#moving = this.#moveSurvivors();
  }

  #delete(segment: Segment): void {
    this.#ledger.forget(segment);
    // Swept at the next opening if it stays.
    unlink(join(this.#options.directory, segmentFileName(segment.id))).catch(() => undefined);
  }

  /** Never rejects. */
  async #moveSurvivors(): Promise<void> {
    const { directory, flushFolder } = this.#options;
    this.#moveAgainAt = 0;
    for (;;) {
      const segment = this.#ledger.wasteful();
      if (segment === undefined) break;
      try {
        this.#moved(segment, await copySurvivors(directory, segment, flushFolder));
      } catch (cause) {
        if (segment.living.size === 0) continue; // It was deleted meanwhile.
        this.#postpone(cause);
        break;
      }
    }
    this.#moving = undefined;
  }

  #postpone(cause: unknown): void {
    this.#moveAgainAt = this.#ledger.dead() + (this.#options.segmentOctets ?? SEGMENT_OCTETS);
    const reason = cause instanceof Error ? cause.message : cause;
    this.#options.onFault(new Error(`Cannot move bodies out of a segment: ${reason}`, { cause }));
  }

  #moved(segment: Segment, copied: readonly BodyPlace[]): void {
    const { directory, onMoved } = this.#options;
    for (const body of copied) {
      if (segment.living.has(body.name)) onMoved(body);
      else unlink(join(directory, body.name)).catch(() => undefined); // Let go of meanwhile.
    }
    this.#delete(segment);
  }
}
