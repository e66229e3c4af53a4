/**
 * Word starts: the places of a text where one of many strings may begin, by four characters there.
 *
 * When all strings are longer than three characters, not every place is looked at: a string that begins between two of
 * them still shows three of its first characters at the second one. Of a character the low eight bits count; four are
 * read at once, folded by one bit each and hashed: a place too many is named now and then, never one too few.
 *
 * @module
 */

const HASH_BITS = 15;
/** Of a longer stride each string would fill more of the hash. */
const MAX_STRIDE = 4;
/** Makes letters lower case, and pairs of other characters one. */
const FOLDING = 0x20;
const FOLDING_ALL = 0x20202020;

export class WordStarts {
  /** Of strings longer than two characters: the first four. */
  readonly #first = new Sequences(4);
  /** Of the same: the three at each of the first places, as many as the stride. */
  readonly #near = new Sequences(3);
  #stride = MAX_STRIDE;
  /** What shorter strings begin with; undefined: there are none. */
  #short: Uint8Array | undefined;

  add(text: string): void {
    if (text.length < 3) {
      this.#short ??= new Uint8Array(0x100);
      for (const octet of octetsOf(text, 0)) this.#short[octet] = 1;
      return;
    }
    this.#stride = Math.min(this.#stride, text.length - 2);
    this.#first.add(text, 0);
    for (let at = 0; at < this.#stride; at++) this.#near.add(text, at);
  }

  /** The first place of [from, length) where a string may begin; `length`: none begins at all. `octets` as FoldedCodes has them. */
  next(octets: DataView, from: number, length: number): number {
    if (this.#short !== undefined) return this.#first.nextOrShort(this.#short, octets, from, length);
    const stride = this.#stride;
    for (let at = from + stride - 1; at < length - 2; at += stride) {
      at = this.#near.next(octets, at, length - 2, stride);
      if (at >= length - 2) break;
      const start = this.#first.next(octets, at - stride + 1, at + 1, 1);
      if (start <= at) return start;
    }
    return length;
  }
}

/** Characters of strings, some each, as they stand in texts. */
class Sequences {
  readonly #hashes = new Uint32Array(1 << (HASH_BITS - 5));
  readonly #bits: number;

  constructor(length: number) {
    this.#bits = 8 * length;
  }

  /** Those of the string from the place on. */
  add(text: string, at: number): void {
    this.#add(text, at, 0, 0);
  }

  /** Of the places from, from + stride and so on the first before `end` that has one; there is none: one not before it. */
  next(octets: DataView, from: number, end: number, stride: number): number {
    const hashes = this.#hashes;
    const unread = 32 - this.#bits;
    let at = from;
    for (; at < end; at += stride) {
      const hash = hashOf((octets.getInt32(at, true) | FOLDING_ALL) << unread);
      if ((((hashes[hash >>> 5] as number) >>> (hash & 31)) & 1) === 1) break;
    }
    return at;
  }

  /** The first place before `end` that has one, or one of the other octets. */
  nextOrShort(short: Uint8Array, octets: DataView, from: number, end: number): number {
    const hashes = this.#hashes;
    const unread = 32 - this.#bits;
    let at = from;
    for (; at < end; at++) {
      const folded = octets.getInt32(at, true) | FOLDING_ALL;
      const hash = hashOf(folded << unread);
      if ((((hashes[hash >>> 5] as number) >>> (hash & 31)) & 1) === 1 || short[folded & 0xff] === 1) break;
    }
    return at;
  }

  /** Behind what is there already. A space may be a run of white space in a text. */
  #add(text: string, at: number, before: number, bits: number): void {
    if (bits === this.#bits) {
      const hash = hashOf(before << (32 - bits));
      this.#hashes[hash >>> 5] = (this.#hashes[hash >>> 5] as number) | (1 << (hash & 31));
      return;
    }
    for (const octet of octetsOf(text, at)) {
      this.#add(text, at + 1, before | (octet << bits), bits + 8);
      if (text[at] === " ") this.#add(text, at, before | (octet << bits), bits + 8);
    }
  }
}

const SPACES: readonly number[] = [..."\t\n\v\f\r "].map((space) => space.charCodeAt(0) | FOLDING);
const SINGLE: readonly (readonly number[])[] = Array.from({ length: 0x100 }, (_, octet) => [octet | FOLDING]);
const ALL: readonly number[] = [...new Set(SINGLE.flat())];

/** What may stand in a text, folded by the bit, for a character of a string, or behind it. */
function octetsOf(text: string, at: number): readonly number[] {
  if (at >= text.length) return ALL;
  return text[at] === " " ? SPACES : (SINGLE[text.charCodeAt(at) & 0xff] as readonly number[]);
}

function hashOf(octets: number): number {
  return Math.imul(octets, 0x9e3779b1) >>> (32 - HASH_BITS);
}
