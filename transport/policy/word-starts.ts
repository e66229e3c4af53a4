/**
 * Word starts: the places of a text where one of many strings may begin, by the first three characters there.
 *
 * Characters are hashed: a place too many is named now and then, never one too few.
 *
 * @module
 */

const HASH_BITS = 15;
const MASK = (1 << HASH_BITS) - 1;
/** Three characters shift the first of them, and what is before, out of the hash. */
const SHIFT = HASH_BITS / 3;

export class WordStarts {
  readonly #known = new Uint32Array(1 << (HASH_BITS - 5));
  /** First characters of strings shorter than three; undefined: there are none. */
  #short: Uint8Array | undefined;

  add(text: string): void {
    if (text.length < 3) {
      this.#short ??= new Uint8Array(0x10000);
      this.#short[text.charCodeAt(0)] = 1;
      return;
    }
    const hash = hashOf(text.charCodeAt(0), text.charCodeAt(1), text.charCodeAt(2));
    this.#known[hash >>> 5] = (this.#known[hash >>> 5] ?? 0) | (1 << (hash & 31));
  }

  /** The first place of [from, length) in the codes of a text; `length`: there is none. There is room behind `length`. */
  next(codes: Uint16Array, from: number, length: number): number {
    const known = this.#known;
    const short = this.#short;
    const end = length - 2;
    let at = from;
    let hash = hashOf(codes[at] ?? 0, codes[at + 1] ?? 0, codes[at + 2] ?? 0);
    for (; at < end; at++) {
      if ((((known[hash >>> 5] as number) >>> (hash & 31)) & 1) === 1) return at;
      if (short !== undefined && short[codes[at] as number] === 1) return at;
      hash = ((hash << SHIFT) ^ (codes[at + 3] as number)) & MASK;
    }
    return short === undefined ? length : nextShort(short, codes, at, length);
  }
}

/** In the last two characters no longer string has room. */
function nextShort(short: Uint8Array, codes: Uint16Array, from: number, length: number): number {
  for (let at = from; at < length; at++) if (short[codes[at] ?? 0] === 1) return at;
  return length;
}

function hashOf(first: number, second: number, third: number): number {
  return ((first << (2 * SHIFT)) ^ (second << SHIFT) ^ third) & MASK;
}
