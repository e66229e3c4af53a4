/**
 * Word starts: the places of a text where one of many strings may begin, by three characters near there.
 *
 * When all strings are longer than three characters, not every place is looked at: a string that begins between two of
 * them still shows three of its first characters at the second one. Characters are hashed: a place too many is named now
 * and then, never one too few.
 *
 * @module
 */

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

  add(text: string): void {
    if (text.length < 3) {
      this.#short ??= new Uint8Array(0x10000);
      this.#short[text.charCodeAt(0)] = 1;
      return;
    }
    this.#stride = Math.min(this.#stride, text.length - 2);
    for (let at = 0; at < this.#stride; at++) {
      const hash = hashOf(text.charCodeAt(at), text.charCodeAt(at + 1), text.charCodeAt(at + 2));
      this.#known[hash >>> 5] = (this.#known[hash >>> 5] ?? 0) | (1 << (hash & 31));
    }
  }

  /** A place of [from, length) in the codes of a text before which no string begins; `length`: none begins at all. */
  next(codes: Uint16Array, from: number, length: number): number {
    const known = this.#known;
    const short = this.#short;
    const stride = short === undefined ? this.#stride : 1;
    for (let at = from + stride - 1; at < length - 2; at += stride) {
      const hash = hashOf(codes[at] as number, codes[at + 1] as number, codes[at + 2] as number);
      if ((((known[hash >>> 5] as number) >>> (hash & 31)) & 1) === 1) return at - stride + 1;
      if (short !== undefined && short[codes[at] as number] === 1) return at;
    }
    return short === undefined ? length : nextShort(short, codes, Math.max(from, length - 2), length);
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
