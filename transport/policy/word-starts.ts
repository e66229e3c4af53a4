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
    const hash = hashAt(text, 0);
    this.#known[hash >>> 5] = (this.#known[hash >>> 5] ?? 0) | (1 << (hash & 31));
  }

  /** The first place from `from` on; the length of the text: there is none. */
  next(text: string, from: number): number {
    const known = this.#known;
    const short = this.#short;
    const end = text.length - 2;
    let hash = hashAt(text, from);
    let at = from;
    for (; at < end; at++) {
      if ((((known[hash >>> 5] ?? 0) >>> (hash & 31)) & 1) === 1) return at;
      if (short !== undefined && short[text.charCodeAt(at)] === 1) return at;
      hash = ((hash << SHIFT) ^ text.charCodeAt(at + 3)) & MASK;
    }
    for (; at < text.length; at++) if (short?.[text.charCodeAt(at)] === 1) return at;
    return text.length;
  }
}

function hashAt(text: string, at: number): number {
  let hash = 0;
  for (let next = at; next < at + 3; next++) hash = (hash << SHIFT) ^ text.charCodeAt(next);
  return hash & MASK;
}
