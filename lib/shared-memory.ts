/** What tables in memory of several threads need: a lock that is held for some nanoseconds, and a hash nobody outside can foresee. */
import { randomInt } from "node:crypto";
import { walk } from "./key-hash.ts";

const SPINS = 1000;

/** Takes the lock in this word. Others hold it for nanoseconds, unless the machine takes their core away: hence no endless spinning. */
export function lock(words: Int32Array, at: number): void {
  for (let tries = 0; Atomics.compareExchange(words, at, 0, 1) !== 0; tries++) {
    if (tries > SPINS) Atomics.wait(words, at, 1, 1);
  }
}

export function unlock(words: Int32Array, at: number): void {
  Atomics.store(words, at, 0);
}

/** Seeds of the two halves of the hash, which every thread must begin with; two words from `at` on. */
export function sow(words: Int32Array, at: number): void {
  words[at] = randomInt(2 ** 32);
  words[at + 1] = randomInt(2 ** 32);
}

/** 64 bits of a key: two walks that begin at the seeds, mixed as MurmurHash3 ends. */
export function hash(key: string, words: Int32Array, seeds: number): [number, number] {
  const high = walk(key, words[seeds] as number, 0x01000193);
  const low = walk(key, words[seeds + 1] as number, 0x85ebca6b);
  return [mixed(high ^ (low >>> 15)), mixed(low ^ (high >>> 13))];
}

function mixed(word: number): number {
  let mix = word ^ (word >>> 16);
  mix = Math.imul(mix, 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return mix ^ (mix >>> 16);
}
