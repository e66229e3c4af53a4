/**
 * Rates that the threads of one process share: one table in shared memory, under one lock that is held for some
 * nanoseconds. Exact. Keys are known by a hash of 64 bits with a seed of the table's own (shared-memory.ts).
 *
 *   const memory = allocateRates();           // in the main thread, handed to each worker
 *   const rates = createSharedRates(memory);  // in each thread
 *
 * When it is full, the key longest unused makes room.
 *
 * @module
 */
import { hasRoom, MAX_KEYS, type Rates, windowAt } from "./rates.ts";
import { hash, lock, sow, unlock } from "./shared-memory.ts";

export type RatesMemory = SharedArrayBuffer;

// Layout in 32-bit words: a head, the first entry of each chain of keys with the same hash, the entries. Entries are
// numbered from 1; 0 is none. They stand in two lists: their chain, and the order of their use.
const LOCK = 0;
const HELD = 1;
const SEEDS = 2;
const OLDEST = 4;
const NEWEST = 5;
const CHAINS = 6;
const HEAD = 7;
const [HIGH, LOW, MINUTE, BEFORE, NOW, NEXT, OLDER, NEWER] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const ENTRY = 8;

/** `keys`: how many are remembered. */
export function allocateRates(keys = MAX_KEYS): RatesMemory {
  const chains = 2 ** Math.ceil(Math.log2(keys));
  const memory = new SharedArrayBuffer((HEAD + chains + keys * ENTRY) * 4);
  const words = new Int32Array(memory);
  words[CHAINS] = chains;
  sow(words, SEEDS);
  return memory;
}

export function createSharedRates(memory: RatesMemory): Rates {
  const table = new Table(new Int32Array(memory));
  return {
    get size() {
      return table.size;
    },
    admit: (key, limit, nowMs) => table.admit(key, limit, nowMs),
  };
}

class Table {
  readonly #words: Int32Array;
  readonly #entries: number;
  readonly #capacity: number;

  constructor(words: Int32Array) {
    this.#words = words;
    this.#entries = HEAD + this.#get(CHAINS) - ENTRY;
    this.#capacity = (words.length - HEAD - this.#get(CHAINS)) / ENTRY;
  }

  get size(): number {
    return Atomics.load(this.#words, HELD);
  }

  admit(key: string, limit: number, nowMs: number): boolean {
    const [high, low] = hash(key, this.#words, SEEDS);
    lock(this.#words, LOCK);
    try {
      const known = this.#find(high, low);
      const at = this.#at(known === 0 ? this.#make(high, low) : known);
      const held = {
        minute: this.#get(at + MINUTE),
        before: this.#get(at + BEFORE),
        now: this.#get(at + NOW),
      };
      const window = windowAt(known === 0 ? undefined : held, nowMs);
      const isWithin = hasRoom(window, limit, nowMs);
      this.#words[at + MINUTE] = window.minute;
      this.#words[at + BEFORE] = window.before;
      this.#words[at + NOW] = window.now + (isWithin ? 1 : 0);
      if (known !== 0) this.#use(known);
      return isWithin;
    } finally {
      unlock(this.#words, LOCK);
    }
  }

  #find(high: number, low: number): number {
    let entry = this.#get(this.#chain(low));
    while (entry !== 0) {
      const at = this.#at(entry);
      if (this.#get(at + LOW) === low && this.#get(at + HIGH) === high) return entry;
      entry = this.#get(at + NEXT);
    }
    return 0;
  }

  /** An entry for a new key: one never used, or the one longest unused. */
  #make(high: number, low: number): number {
    const held = this.#get(HELD);
    const entry = held < this.#capacity ? held + 1 : this.#forget();
    if (held < this.#capacity) Atomics.store(this.#words, HELD, held + 1);
    const at = this.#at(entry);
    this.#words[at + HIGH] = high;
    this.#words[at + LOW] = low;
    this.#words[at + NEXT] = this.#get(this.#chain(low));
    this.#words[this.#chain(low)] = entry;
    this.#append(entry);
    return entry;
  }

  #forget(): number {
    const oldest = this.#get(OLDEST);
    const at = this.#at(oldest);
    let link = this.#chain(this.#get(at + LOW));
    while (this.#get(link) !== oldest) link = this.#at(this.#get(link)) + NEXT;
    this.#words[link] = this.#get(at + NEXT);
    this.#detach(oldest);
    return oldest;
  }

  #use(entry: number): void {
    if (this.#get(NEWEST) === entry) return;
    this.#detach(entry);
    this.#append(entry);
  }

  #append(entry: number): void {
    const at = this.#at(entry);
    const newest = this.#get(NEWEST);
    this.#words[at + OLDER] = newest;
    this.#words[at + NEWER] = 0;
    this.#words[newest === 0 ? OLDEST : this.#at(newest) + NEWER] = entry;
    this.#words[NEWEST] = entry;
  }

  #detach(entry: number): void {
    const at = this.#at(entry);
    const [older, newer] = [this.#get(at + OLDER), this.#get(at + NEWER)];
    this.#words[older === 0 ? OLDEST : this.#at(older) + NEWER] = newer;
    this.#words[newer === 0 ? NEWEST : this.#at(newer) + OLDER] = older;
  }

  #get(at: number): number {
    return this.#words[at] as number;
  }

  #at(entry: number): number {
    return this.#entries + entry * ENTRY;
  }

  /** Where the number of the first entry of a hash's chain stands. */
  #chain(low: number): number {
    return HEAD + (low & (this.#get(CHAINS) - 1));
  }
}
