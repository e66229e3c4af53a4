/**
 * Segment ledger: which bodies live in which segment, which segments are of no more use, which waste room.
 *
 * A body lives from its writing until nobody names it. A sealed segment takes no more bodies; when nothing
 * lives in it, it can go. One long-lived body would keep its whole segment: so the dead octets of sealed
 * segments may be as many as the living ones, or 64 MiB; beyond that the survivors of the segment with the
 * most dead are moved out (segment-survivors.ts), and what is freed is at least what is copied. No I/O.
 *
 * @module
 */
import { SteadySet } from "../../lib/steady-map.ts";
import { type BodyPlace, parseBodyName } from "./body-name.ts";

export interface Segment {
  readonly id: string;
  /** Octets of its file. */
  length: number;
  livingOctets: number;
  sealed: boolean;
  /** Names of what lives in it. */
  readonly living: SteadySet;
}

const DEAD_OCTETS = 64 * 1024 * 1024;

export class SegmentLedger {
  readonly #segments = new Map<string, Segment>();
  readonly #deadAllowed: number;
  /** Of all segments, the open one too. */
  #length = 0;
  #living = 0;

  constructor(deadAllowed = DEAD_OCTETS) {
    this.#deadAllowed = deadAllowed;
  }

  open(id: string): Segment {
    const segment: Segment = { id, length: 0, livingOctets: 0, sealed: false, living: new SteadySet() };
    this.#segments.set(id, segment);
    return segment;
  }

  find(id: string | undefined): Segment | undefined {
    return id === undefined ? undefined : this.#segments.get(id);
  }

  segments(): Iterable<Segment> {
    return this.#segments.values();
  }

  grow(segment: Segment, length: number): void {
    this.#length += length - segment.length;
    segment.length = length;
  }

  add(segment: Segment, { name, size }: Pick<BodyPlace, "name" | "size">): void {
    segment.living.add(name);
    segment.livingOctets += size;
    this.#living += size;
  }

  /** Nobody names the body any more. Its segment; undefined: it lived in none. */
  drop(name: string): Segment | undefined {
    const place = parseBodyName(name);
    const segment = this.find(place?.segment);
    if (place === undefined || !segment?.living.delete(name)) return undefined;
    segment.livingOctets -= place.size;
    this.#living -= place.size;
    return segment;
  }

  /** The segment's file is gone. */
  forget(segment: Segment): void {
    if (!this.#segments.delete(segment.id)) return;
    this.#length -= segment.length;
    this.#living -= segment.livingOctets;
  }

  /** The sealed segment whose survivors should move out now, if any. */
  wasteful(): Segment | undefined {
    if (this.#length - this.#living <= Math.max(this.#deadAllowed, this.#living)) return undefined;
    let worst: Segment | undefined;
    for (const segment of this.#segments.values()) {
      if (!segment.sealed || segment.living.size === 0) continue;
      if (worst === undefined || livingShare(segment) < livingShare(worst)) worst = segment;
    }
    return worst !== undefined && livingShare(worst) <= 0.5 ? worst : undefined;
  }

  /** Octets of all segments' files. */
  length(): number {
    return this.#length;
  }

  /** Octets that nobody names. */
  dead(): number {
    return this.#length - this.#living;
  }
}

function livingShare({ livingOctets, length }: Segment): number {
  return livingOctets / length;
}
