/**
 * Folded codes: the character codes of foldText(text), for scans that look at each. Text that is all ASCII, as most is, is
 * folded on the way, without a string in between.
 *
 * @module
 */
import { foldText } from "./fold.ts";

/** Longer texts are rare: room for them is not kept. */
const MAX_KEPT = 1 << 18;
const SPACE = 0x20;
const ASCII = 0x80;
const encoder = new TextEncoder();

/** Lower case; all white space is a space. */
const FOLDED = Uint8Array.from({ length: 2 * ASCII }, (_, code) => {
  const char = String.fromCharCode(code);
  return /\s/.test(char) ? SPACE : char.toLowerCase().charCodeAt(0);
});

export class FoldedCodes {
  /** Of the text folded last; valid up to `length`. */
  codes = new Uint16Array(0);
  length = 0;
  #octets = new Uint8Array(0);

  fold(text: string): void {
    this.#makeRoom(text.length);
    const { read, written } = encoder.encodeInto(text, this.#octets);
    if (read === text.length && written === text.length) this.#foldAscii(written);
    else this.#take(foldText(text));
  }

  #foldAscii(size: number): void {
    const { codes } = this;
    const octets = this.#octets;
    let length = 0;
    let before = 0;
    for (let at = 0; at < size; at++) {
      const code = FOLDED[octets[at] as number] as number;
      if (code === SPACE && before === SPACE) continue;
      codes[length++] = code;
      before = code;
    }
    this.length = length;
  }

  /** Folding may make a text longer: the lower case of some letters is two. */
  #take(folded: string): void {
    this.#makeRoom(folded.length);
    for (let at = 0; at < folded.length; at++) this.codes[at] = folded.charCodeAt(at);
    this.length = folded.length;
  }

  #makeRoom(length: number): void {
    const isTooSmall = this.codes.length < length;
    const isTooLarge = this.codes.length > MAX_KEPT && length <= MAX_KEPT;
    if (!isTooSmall && !isTooLarge) return;
    const size = Math.max(length, 8192);
    this.codes = new Uint16Array(size);
    this.#octets = new Uint8Array(size);
  }
}

const WORD_CHARACTER = /[\p{L}\p{N}\p{M}_]/u;

/** True when [start, end) of the codes begins and ends where a word may: not in the middle of letters or digits. */
export function isWholeWord(
  text: Pick<FoldedCodes, "codes" | "length">,
  start: number,
  end: number,
): boolean {
  return isBoundary(text, start) && isBoundary(text, end);
}

function isBoundary({ codes, length }: Pick<FoldedCodes, "codes" | "length">, at: number): boolean {
  return at <= 0 || at >= length || !(isWordBefore(codes, at) && isWordAfter(codes, at, length));
}

function isWordBefore(codes: Uint16Array, at: number): boolean {
  const code = codes[at - 1] ?? 0;
  if (code < ASCII) return isAsciiWord(code);
  const isLowSurrogate = code >= 0xdc00 && code <= 0xdfff && at >= 2;
  return WORD_CHARACTER.test(
    isLowSurrogate ? String.fromCharCode(codes[at - 2] ?? 0, code) : String.fromCharCode(code),
  );
}

function isWordAfter(codes: Uint16Array, at: number, length: number): boolean {
  const code = codes[at] ?? 0;
  if (code < ASCII) return isAsciiWord(code);
  const next = at + 1 < length ? (codes[at + 1] ?? 0) : 0;
  const isPair = code >= 0xd800 && code <= 0xdbff && next >= 0xdc00 && next <= 0xdfff;
  return WORD_CHARACTER.test(isPair ? String.fromCharCode(code, next) : String.fromCharCode(code));
}

function isAsciiWord(code: number): boolean {
  return (
    (code >= 97 && code <= 122) || (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95
  );
}
