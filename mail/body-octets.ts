/** What kind of octets a body holds: 7bit, 8bit or binary (RFC 2045 §2.7 to §2.9). One pass. */
import { isAscii } from "node:buffer";

const LF = 0x0a;
const CR = 0x0d;
/** RFC 5322 §2.1.1, without CRLF. */
const MAX_LINE = 998;

/** True when an octet is above 127. */
export function has8Bit(octets: Uint8Array): boolean {
  return !isAscii(octets);
}

/** True when the octets are no lines: NUL, a CR or LF alone, or a line of more than 998 octets. */
export function hasBinary(octets: Uint8Array): boolean {
  const words = alignedWords(octets);
  let lineStart = 0;
  for (let at = nextControl(octets, words, 0); at < octets.length; at = nextControl(octets, words, at + 1)) {
    const octet = octets[at];
    if (octet === 0 || (octet === LF && octets[at - 1] !== CR)) return true;
    if (octet === CR && octets[at + 1] !== LF) return true;
    if (octet !== LF) continue;
    if (at - 1 - lineStart > MAX_LINE) return true;
    lineStart = at + 1;
  }
  return octets.length - lineStart > MAX_LINE;
}

const NO_WORDS = new Int32Array(0);

/** The octets four at a time, from the first place where memory is aligned for that. */
function alignedWords({ buffer, byteOffset, length }: Uint8Array): Int32Array {
  const head = -byteOffset & 3;
  return length < head + 4 ? NO_WORDS : new Int32Array(buffer, byteOffset + head, (length - head) >> 2);
}

/** The first place from `from` on of an octet of at most CR; the length: there is none. */
function nextControl(octets: Uint8Array, words: Int32Array, from: number): number {
  const head = -octets.byteOffset & 3;
  let at = from;
  for (; at < octets.length && ((at - head) & 3) !== 0; at++) if ((octets[at] as number) <= CR) return at;
  let word = (at - head) >> 2;
  while (word < words.length && !holdsControl(words[word] as number)) word++;
  for (at = Math.max(at, head + 4 * word); at < octets.length; at++) {
    if ((octets[at] as number) <= CR) return at;
  }
  return octets.length;
}

/** True when one of the four octets is less than 14: taking 14 from it borrows. */
function holdsControl(word: number): boolean {
  return ((word - 0x0e0e0e0e) & ~word & 0x80808080) !== 0;
}
