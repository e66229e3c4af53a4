/**
 * Counts that the threads of one process share: one table in shared memory, under one lock that is held for some
 * nanoseconds. Keys are known by a hash of 64 bits with a seed of the table's own: nobody outside can make two collide.
 *
 *   const memory = allocateCounts();            // in the main thread, handed to each worker
 *   const counts = createSharedCounts(memory);  // in each thread
 *
 * Only keys with places taken are held. A table that is full gives no places for a key that it does not hold.
 *
 * @module
 */
import type { Counts } from "./counts.ts";
import { hash, lock, sow, unlock } from "./shared-memory.ts";

export type CountsMemory = SharedArrayBuffer;

// Layout in 32-bit words: lock, keys held, seeds of the two halves of the hash; then slots of hash, hash, count.
const LOCK = 0;
const HELD = 1;
const SEEDS = 2;
const HEAD = 4;
const SLOT = 3;
const COUNT = 2;

/** `keys`: how many may be held at once; a power of two is made of it. */
export function allocateCounts(keys = 65_536): CountsMemory {
  // Half empty, so that a search is short.
  const slots = 2 ** Math.ceil(Math.log2(keys * 2));
  const memory = new SharedArrayBuffer((HEAD + slots * SLOT) * 4);
  sow(new Int32Array(memory), SEEDS);
  return memory;
}

export function createSharedCounts(memory: CountsMemory): Counts {
  const table = new Table(new Int32Array(memory));
  return {
    take: (key, limit, wanted = 1) =>
      table.change(key, (taken) => Math.max(0, Math.min(wanted, limit - taken))).by,
    give: (key, places = 1) => void table.change(key, (taken) => -Math.min(places, taken)),
    taken: (key) => table.change(key, () => 0).taken,
  };
}

/** Open addressing, linear probing; a slot that becomes free is filled by the ones behind it, so no marks are left. */
class Table {
  readonly #words: Int32Array;
  readonly #mask: number;

  constructor(words: Int32Array) {
    this.#words = words;
    this.#mask = (words.length - HEAD) / SLOT - 1;
  }

  /** Adds what `by` says to the count of a key; what it was, and what was added. */
  change(key: string, by: (taken: number) => number): { readonly taken: number; readonly by: number } {
    const words = this.#words;
    const [high, low] = hash(key, words, SEEDS);
    lock(words, LOCK);
    try {
      const slot = this.#find(high, low);
      const at = this.#at(slot);
      const taken = words[at + COUNT] as number;
      const isFull = taken === 0 && (words[HELD] as number) > this.#mask / 2;
      const added = isFull ? 0 : by(taken);
      if (added === 0) return { taken, by: 0 };
      if (taken === 0) words[HELD] = (words[HELD] as number) + 1;
      words[at] = high;
      words[at + 1] = low;
      words[at + COUNT] = taken + added;
      if (taken + added === 0) this.#free(slot);
      return { taken, by: added };
    } finally {
      unlock(words, LOCK);
    }
  }

  /** The slot of a key, or the free one where it belongs. */
  #find(high: number, low: number): number {
    const words = this.#words;
    for (let slot = low & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = this.#at(slot);
      if (words[at + COUNT] === 0 || (words[at] === high && words[at + 1] === low)) return slot;
    }
  }

  /** Moves up what lies behind a freed slot and would not be found past it (Knuth, 6.4, algorithm R). */
  #free(freed: number): void {
    const words = this.#words;
    words[HELD] = (words[HELD] as number) - 1;
    let hole = freed;
    for (let slot = (hole + 1) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = this.#at(slot);
      if (words[at + COUNT] === 0) return;
      const home = (words[at + 1] as number) & this.#mask;
      if (((slot - home) & this.#mask) < ((slot - hole) & this.#mask)) continue;
      words.copyWithin(this.#at(hole), at, at + SLOT);
      words[at + COUNT] = 0;
      hole = slot;
    }
  }

  #at(slot: number): number {
    return HEAD + slot * SLOT;
  }
}
