/**
 * Content transfer encodings (RFC 2045 §6): decoding in pieces, encoding as a whole.
 *
 * Decoding takes any octets: what is no base64 or quoted-printable is skipped or kept, never an error.
 *
 * @module
 */

export interface TransferDecoder {
  /** Decoded octets so far; the result may be empty. */
  write(octets: Uint8Array): Uint8Array;
  end(): Uint8Array;
}

/** A decoder for an encoding in lower case; unknown ones leave the octets as they are. */
export function transferDecoder(encoding: string): TransferDecoder {
  if (encoding === "base64") return base64Decoder();
  if (encoding === "quoted-printable") return new QuotedPrintableDecoder();
  return { write: (octets) => octets, end: () => NOTHING };
}

export function decodeTransfer(octets: Uint8Array, encoding: string): Uint8Array {
  const decoder = transferDecoder(encoding);
  return Buffer.concat([decoder.write(octets), decoder.end()]);
}

/** base64 in lines of 76 (RFC 2045 §6.8), each ended by CRLF. */
export function encodeBase64(octets: Uint8Array): Buffer {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString("base64");
  const lines: string[] = [];
  for (let at = 0; at < text.length; at += 76) lines.push(text.slice(at, at + 76), "\r\n");
  return Buffer.from(lines.join(""), "latin1");
}

/** Quoted-printable text in lines of at most 76 (RFC 2045 §6.7); CRLF stays a line break. */
export function encodeQuotedPrintable(octets: Uint8Array): Buffer {
  // Worst case: three octets for each, and a soft break of three for at least 73 of them.
  const out = Buffer.allocUnsafe(octets.length * 3 + Math.ceil((octets.length * 3) / 72) * 3 + 3);
  let length = 0;
  let column = 0;
  for (let at = 0; at < octets.length; at++) {
    const octet = octets[at] as number;
    if (octet === CR && octets[at + 1] === LF) {
      out[length++] = CR;
      out[length++] = LF;
      at++;
      column = 0;
      continue;
    }
    const fits = isLiteral(octet, isLineEnd(octets, at + 1));
    // 75 and the "=" of a soft break make 76.
    if (column + widthOf(fits) > 75) {
      length += out.write("=\r\n", length, "latin1");
      column = 0;
    }
    // "--" never begins a line: wrapping must not make a boundary of what was none.
    const literal = fits && !(column === 0 && isDelimiter(octets, at));
    length = literal ? out.writeUInt8(octet, length) : writeHex(out, octet, length);
    column += widthOf(literal);
  }
  return out.subarray(0, length);
}

const CR = 0x0d;
const LF = 0x0a;
const EQUALS = 0x3d;
const HYPHEN = 0x2d;
const HEX = "0123456789ABCDEF";
const NOTHING = new Uint8Array(0);
const BASE64_VALUES = base64Values();
const MAX_HELD_SPACE = 1024;

function isLiteral(octet: number, atLineEnd: boolean): boolean {
  // RFC 2045 §6.7 (3): white space must not end a line.
  if (octet === 0x20 || octet === 0x09) return !atLineEnd;
  return octet > 0x20 && octet < 0x7f && octet !== EQUALS;
}

function isDelimiter(octets: Uint8Array, at: number): boolean {
  return octets[at] === HYPHEN && octets[at + 1] === HYPHEN;
}

function widthOf(literal: boolean): number {
  return literal ? 1 : 3;
}

/** Writes =XX; gives the place after it. */
function writeHex(out: Buffer, octet: number, at: number): number {
  return at + out.write(`=${HEX[octet >> 4]}${HEX[octet & 15]}`, at, "latin1");
}

function isLineEnd(octets: Uint8Array, at: number): boolean {
  return at >= octets.length || (octets[at] === CR && octets[at + 1] === LF);
}

function base64Decoder(): TransferDecoder {
  let bits = 0;
  let count = 0;
  return {
    write(octets) {
      const out = Buffer.allocUnsafe(Math.ceil((octets.length * 3) / 4) + 3);
      let length = 0;
      for (const octet of octets) {
        const value = BASE64_VALUES[octet] as number;
        if (value < 64) {
          bits = ((bits << 6) | value) & 0xffffff;
          count += 6;
          if (count >= 8) {
            count -= 8;
            out[length++] = (bits >> count) & 0xff;
          }
        } else if (octet === EQUALS) {
          // Padding ends a group; more base64 may follow, and clients decode it.
          count = 0;
        }
      }
      return out.subarray(0, length);
    },
    end: () => NOTHING,
  };
}

function base64Values(): Uint8Array {
  const values = new Uint8Array(256).fill(255);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (let index = 0; index < 64; index++) values[alphabet.charCodeAt(index)] = index;
  return values;
}

/** Holds back "=", "=X" and white space, whose meaning the next octets decide. */
class QuotedPrintableDecoder implements TransferDecoder {
  #held: number[] = [];
  #out = Buffer.alloc(0);
  #length = 0;

  write(octets: Uint8Array): Uint8Array {
    this.#out = Buffer.allocUnsafe(octets.length + this.#held.length);
    this.#length = 0;
    for (const octet of octets) {
      if (this.#held[0] !== EQUALS || !this.#afterEquals(octet)) this.#plain(octet);
    }
    return this.#out.subarray(0, this.#length);
  }

  end(): Uint8Array {
    // A cut "=4" is kept as it is, white space at the end is not.
    return Uint8Array.from(this.#held[0] === EQUALS ? this.#held : []);
  }

  #plain(octet: number): void {
    if (isSpace(octet) && this.#held.length < MAX_HELD_SPACE) {
      this.#held.push(octet);
      return;
    }
    // RFC 2045 §6.7 (3): white space at the end of a line was added on the way.
    if (octet === LF || octet === CR) this.#held = [];
    this.#flush();
    if (octet === EQUALS) this.#held = [octet];
    else this.#push(octet);
  }

  /** True when the octet belongs to the "=" before it; else what was held is plain text. */
  #afterEquals(octet: number): boolean {
    const second = this.#held[1];
    if (octet === LF && (second === undefined || second === CR || isSpace(second))) {
      this.#held = []; // a soft line break
      return true;
    }
    if (this.#mayGoOn(octet, second)) {
      if (octet === CR) this.#held = [EQUALS];
      this.#held.push(octet);
      return true;
    }
    const high = second === undefined ? -1 : hexValue(second);
    const low = hexValue(octet);
    if (high < 0 || low < 0) {
      this.#flush();
      return false;
    }
    this.#held = [];
    this.#push(high * 16 + low);
    return true;
  }

  #mayGoOn(octet: number, second: number | undefined): boolean {
    if (second === undefined) return octet === CR || isSpace(octet) || hexValue(octet) >= 0;
    return isSpace(second) && (octet === CR || (isSpace(octet) && this.#held.length < MAX_HELD_SPACE));
  }

  #flush(): void {
    for (const octet of this.#held) this.#push(octet);
    this.#held = [];
  }

  #push(octet: number): void {
    this.#out[this.#length++] = octet;
  }
}

function isSpace(octet: number): boolean {
  return octet === 0x20 || octet === 0x09;
}

function hexValue(octet: number): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const upper = octet & ~0x20;
  return upper >= 0x41 && upper <= 0x46 ? upper - 0x37 : -1;
}
