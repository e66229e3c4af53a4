/**
 * Folded codes: the character codes of foldText(text), for scans that skip most of a text: read() takes the text as it is,
 * and only the stretches that a scan looks at are folded. Text beyond ASCII is folded when it is read, as a string. Where
 * to look is found in octets, of each character one: they are copied and searched faster than codes.
 *
 * @module
 */
import { foldText } from "./fold.ts";

/** Longer texts are rare: room for them is not kept. */
const MAX_KEPT = 1 << 18;
const SPACE = 0x20;
const ASCII = 0x80;
/** As much as says what character stands before a place. */
const MAX_PAIR = 2;
/** Behind the last octet, so that four can be read there. */
const SPARE = 4;

/** Lower case; all white space is a space. What is beyond ASCII is folded already. */
const FOLDED = Uint16Array.from({ length: 0x10000 }, (_, code) => {
  const char = String.fromCharCode(code);
  if (code >= ASCII) return code;
  return /\s/.test(char) ? SPACE : char.toLowerCase().charCodeAt(0);
});

export class FoldedCodes {
  /** Of the text read last, its runs of white space not made one yet, the low eight bits of each character; valid up to `size`. */
  octets = new DataView(new ArrayBuffer(0));
  size = 0;
  /** Of the stretch begun last, and what stands around it; valid up to `length`. */
  codes = new Uint16Array(0);
  length = 0;
  #text = "";
  #buffer = Buffer.alloc(0);

  read(text: string): void {
    const isAscii = Buffer.byteLength(text) === text.length;
    this.#text = isAscii ? text : foldText(text);
    this.size = this.#text.length;
    this.#makeRoom(this.size);
    // Of a character beyond Latin-1 that writes the low eight bits.
    this.#buffer.write(this.#text, "latin1");
  }

  /** A stretch that begins at the place of the text. */
  begin(at: number): void {
    this.length = 0;
    for (let before = Math.max(0, at - MAX_PAIR); before < at; before++) this.#push(before);
  }

  /** Adds the character at the place, or the run of white space that begins there; returns its last place. */
  take(at: number): number {
    this.#push(at);
    let last = at;
    if (this.codes[this.length - 1] !== SPACE) return last;
    while (last + 1 < this.size && this.#foldedAt(last + 1) === SPACE) last++;
    return last;
  }

  /** True when the last `count` characters taken, the last of them at that place of the text, are a whole word. */
  endWithWord(count: number, at: number): boolean {
    const end = this.length;
    for (let after = at + 1; after <= at + MAX_PAIR && after < this.size; after++) this.#push(after);
    const isWord = isWholeWord(this, end - count, end);
    this.length = end;
    return isWord;
  }

  #push(at: number): void {
    this.codes[this.length++] = this.#foldedAt(at);
  }

  #foldedAt(at: number): number {
    return FOLDED[this.#text.charCodeAt(at)] as number;
  }

  #makeRoom(length: number): void {
    const room = this.#buffer.length - SPARE;
    if (room >= length && (room <= MAX_KEPT || length > MAX_KEPT)) return;
    const size = Math.max(length, 8192);
    this.octets = new DataView(new ArrayBuffer(size + SPARE));
    this.#buffer = Buffer.from(this.octets.buffer);
    this.codes = new Uint16Array(size + 2 * MAX_PAIR);
  }
}

const WORD_CHARACTER = /[\p{L}\p{N}\p{M}_]/u;

/** True when [start, end) of the codes begins and ends where a word may: not in the middle of letters or digits. */
function isWholeWord(text: Pick<FoldedCodes, "codes" | "length">, start: number, end: number): boolean {
  return isBoundary(text, start) && isBoundary(text, end);
}

function isBoundary({ codes, length }: Pick<FoldedCodes, "codes" | "length">, at: number): boolean {
  return at <= 0 || at >= length || !(isWordBefore(codes, at) && isWordAfter(codes, at, length));
}

function isWordBefore(codes: Uint16Array, at: number): boolean {
  const code = codes[at - 1] ?? 0;
  if (code < ASCII) return isAsciiWord(code);
  const before = at >= 2 ? (codes[at - 2] ?? 0) : 0;
  return WORD_CHARACTER.test(
    isPair(before, code) ? String.fromCharCode(before, code) : String.fromCharCode(code),
  );
}

function isWordAfter(codes: Uint16Array, at: number, length: number): boolean {
  const code = codes[at] ?? 0;
  if (code < ASCII) return isAsciiWord(code);
  const next = at + 1 < length ? (codes[at + 1] ?? 0) : 0;
  return WORD_CHARACTER.test(
    isPair(code, next) ? String.fromCharCode(code, next) : String.fromCharCode(code),
  );
}

function isPair(high: number, low: number): boolean {
  return high >= 0xd800 && high <= 0xdbff && low >= 0xdc00 && low <= 0xdfff;
}

function isAsciiWord(code: number): boolean {
  return (
    (code >= 97 && code <= 122) || (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95
  );
}
