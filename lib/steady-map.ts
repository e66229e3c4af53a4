/**
 * SteadyMap: a Map by string for entries that come and go for as long as the process runs.
 *
 * A Map makes a new table every few entries, and each old table leads to the next one and to the entries it had. Once
 * the collector has taken one table for long-lived, all that follow it, with every entry in them, live until all of
 * memory is collected: a relay that keeps its messages in Maps for milliseconds finds the whole of them there. Here
 * entries come into the same arrays, and what is deleted is referred to by nothing.
 *
 * Entries are kept in the order in which they came; setting a key again keeps its place. While it is iterated, entries
 * may be deleted, not added.
 *
 * @module
 */
import { randomInt } from "node:crypto";
import { keyHash } from "./key-hash.ts";

const SMALLEST = 16;
/** Emptied, one larger than this gives its memory back. */
const KEPT = 1024;
/** One that has never had an entry takes no memory. */
const NONE = new Int32Array(1);
/** Keys that were made to meet in one slot meet in none. */
const SEED = randomInt(2 ** 31);

export class SteadyMap<Value> {
  #keys: (string | undefined)[] = [];
  #values: (Value | undefined)[] = [];
  /** Hash of the key at each place. */
  #hashes: number[] = [];
  /** Place of an entry + 1, from the slot of its hash onwards; 0: none. Twice as many as there are places. */
  #slots = NONE;
  /** No entry lies before this place, and none from `#end` on. */
  #begin = 0;
  #end = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): Value | undefined {
    const slot = this.#find(key, hashOf(key));
    return slot < 0 ? undefined : this.#values[this.#placeIn(slot)];
  }

  has(key: string): boolean {
    return this.#find(key, hashOf(key)) >= 0;
  }

  set(key: string, value: Value): void {
    const hash = hashOf(key);
    const slot = this.#find(key, hash);
    if (slot >= 0) {
      this.#values[this.#placeIn(slot)] = value;
      return;
    }
    if (this.#end === this.#slots.length >> 1) this.#makeRoom();
    const place = this.#end++;
    this.#keys[place] = key;
    this.#values[place] = value;
    this.#hashes[place] = hash;
    this.#enter(place, hash);
    this.#size += 1;
  }

  delete(key: string): boolean {
    const slot = this.#find(key, hashOf(key));
    if (slot < 0) return false;
    const place = this.#placeIn(slot);
    this.#keys[place] = undefined;
    this.#values[place] = undefined;
    this.#leave(slot);
    this.#size -= 1;
    if (this.#size === 0) this.#startAnew();
    else if (place === this.#begin) while (this.#keys[this.#begin] === undefined) this.#begin += 1;
    return true;
  }

  clear(): void {
    for (const key of this.keys()) this.delete(key);
  }

  *keys(): Generator<string, void, undefined> {
    for (const [key] of this) yield key;
  }

  *values(): Generator<Value, void, undefined> {
    for (const [, value] of this) yield value;
  }

  *[Symbol.iterator](): Generator<[string, Value], void, undefined> {
    for (let place = this.#begin; place < this.#end; place += 1) {
      const key = this.#keys[place];
      if (key !== undefined) yield [key, this.#values[place] as Value];
    }
  }

  #placeIn(slot: number): number {
    return (this.#slots[slot] ?? 0) - 1;
  }

  /** The slot that leads to the key; negative: none does. */
  #find(key: string, hash: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const place = (slots[slot] ?? 0) - 1;
      if (place < 0) return -1;
      if (this.#hashes[place] === hash && this.#keys[place] === key) return slot;
    }
  }

  #enter(place: number, hash: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = hash & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = place + 1;
  }

  /** Empties a slot. Whoever had to go past it moves up (Knuth, The Art of Computer Programming 3, 6.4, algorithm R). */
  #leave(slot: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let free = slot;
    for (let next = (free + 1) & mask; slots[next] !== 0; next = (next + 1) & mask) {
      const home = (this.#hashes[this.#placeIn(next)] ?? 0) & mask;
      if (((next - home) & mask) < ((next - free) & mask)) continue;
      slots[free] = slots[next] ?? 0;
      free = next;
    }
    slots[free] = 0;
  }

  #startAnew(): void {
    this.#begin = 0;
    this.#end = 0;
    if (this.#slots.length > 2 * KEPT) this.#resize(SMALLEST);
  }

  /** Closes the gaps that deleted entries left; doubled where these are few, halved where there are hardly any others. */
  #makeRoom(): void {
    let end = 0;
    for (let place = this.#begin; place < this.#end; place += 1) {
      const key = this.#keys[place];
      if (key === undefined) continue;
      this.#keys[end] = key;
      this.#values[end] = this.#values[place];
      this.#hashes[end] = this.#hashes[place] ?? 0;
      end += 1;
    }
    this.#keys.fill(undefined, end);
    this.#values.fill(undefined, end);
    this.#begin = 0;
    this.#end = end;
    const places = this.#slots.length >> 1;
    if (places === 0) this.#resize(SMALLEST);
    else if (end > places / 2) this.#resize(2 * places);
    else this.#resize(end < places / 8 && places > KEPT ? places / 2 : places);
  }

  /** Of `places` places, that hold all entries. */
  #resize(places: number): void {
    if (this.#slots.length === 2 * places) this.#slots.fill(0);
    else this.#slots = new Int32Array(2 * places);
    this.#keys.length = Math.min(this.#keys.length, places);
    this.#values.length = Math.min(this.#values.length, places);
    this.#hashes.length = Math.min(this.#hashes.length, places);
    for (let place = 0; place < this.#end; place += 1) this.#enter(place, this.#hashes[place] ?? 0);
  }
}

/** A Set of strings, in the same way. */
export class SteadySet {
  readonly #entries = new SteadyMap<true>();

  get size(): number {
    return this.#entries.size;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  add(key: string): void {
    this.#entries.set(key, true);
  }

  delete(key: string): boolean {
    return this.#entries.delete(key);
  }

  [Symbol.iterator](): Generator<string, void, undefined> {
    return this.#entries.keys();
  }
}

/** Who works on an entry asks several maps for it. */
let lastKey: string | undefined;
let lastHash = 0;

function hashOf(key: string): number {
  if (key === lastKey) return lastHash;
  lastKey = key;
  lastHash = keyHash(key, SEED);
  return lastHash;
}
