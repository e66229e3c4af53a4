/**
 * Word starts: the places of a text where one of many strings may begin, by three characters near there.
 *
 * When all strings are longer than three characters, not every place is looked at: a string that begins between two of
 * them still shows three of its first characters at the second one. Characters are folded one by one; a run of white
 * space, which no string holds, may hide the beginning of any. Characters are hashed: a place too many is named now and
 * then, never one too few.
 *
 * @module
 */

import { foldedAt } from "./folded-codes.ts";

const SPACE = 0x20;
const ASCII = 0x80;
const HASH_BITS = 15;
const MASK = (1 << HASH_BITS) - 1;
/** Three characters shift the first of them, and what is before, out of the hash. */
const SHIFT = HASH_BITS / 3;
/** Of a longer stride each string would fill more of the hash. */
const MAX_STRIDE = 4;

export class WordStarts {
  readonly #known = new Uint32Array(1 << (HASH_BITS - 5));
  /** First characters of strings shorter than three; undefined: there are none. */
  #short: Uint8Array | undefined;
  /** Of each longer string, the three characters at each of its first places, as many as this, are known. */
  #stride = MAX_STRIDE;

  constructor() {
    for (let code = 0; code < ASCII; code++) {
      this.#know(hashOf(code, SPACE, SPACE));
      this.#know(hashOf(SPACE, SPACE, code));
    }
  }

  add(text: string): void {
    if (text.length < 3) {
      this.#short ??= new Uint8Array(0x10000);
      this.#short[text.charCodeAt(0)] = 1;
      return;
    }
    this.#stride = Math.min(this.#stride, text.length - 2);
    for (let at = 0; at < this.#stride; at++) {
      this.#know(hashOf(text.charCodeAt(at), text.charCodeAt(at + 1), text.charCodeAt(at + 2)));
    }
  }

  /** A place of [from, length) in a text as FoldedCodes read it before which no string begins; `length`: none begins at all. */
  next(raw: Uint16Array, from: number, length: number): number {
    const known = this.#known;
    const short = this.#short;
    const stride = short === undefined ? this.#stride : 1;
    for (let at = from + stride - 1; at < length - 2; at += stride) {
      const hash = hashOf(foldedAt(raw, at), foldedAt(raw, at + 1), foldedAt(raw, at + 2));
      if ((((known[hash >>> 5] as number) >>> (hash & 31)) & 1) === 1) return at - stride + 1;
      if (short !== undefined && short[foldedAt(raw, at)] === 1) return at;
    }
    return short === undefined ? length : nextShort(short, raw, Math.max(from, length - 2), length);
  }

  #know(hash: number): void {
    this.#known[hash >>> 5] = (this.#known[hash >>> 5] ?? 0) | (1 << (hash & 31));
  }
}

/** In the last two characters no longer string has room. */
function nextShort(short: Uint8Array, raw: Uint16Array, from: number, length: number): number {
  for (let at = from; at < length; at++) if (short[foldedAt(raw, at)] === 1) return at;
  return length;
}

function hashOf(first: number, second: number, third: number): number {
  return ((first << (2 * SHIFT)) ^ (second << SHIFT) ^ third) & MASK;
}
