/**
 * LineReader: octets to command lines. A line ends in CRLF and nowhere else (RFC 5321 §2.3.8).
 *
 * A line that is too long is never kept: its octets are counted and forgotten.
 *
 * @module
 */

/** "bare-lf": a LF without its CR, which some server before or behind us may take for a line end. */
export type Line =
  | { readonly kind: "line"; readonly octets: Buffer }
  | { readonly kind: "long" }
  | { readonly kind: "bare-lf" }
  | { readonly kind: "endless" };

// RFC 5321 §4.5.3.1.4: 512, and what the extensions add.
const MAX_COMMAND = 2048;
// RFC 4954 §4.
const MAX_AUTH = 12_288;
/** Octets of one line after which the client is no mail client. */
const MAX_SKIPPED = 262_144;
const LF = 0x0a;
const CR = 0x0d;
const EMPTY: Buffer = Buffer.alloc(0);

export class LineReader {
  /** Octets that the last take() used. */
  used = 0;
  #partial: Buffer = EMPTY;
  #skipped = 0;

  /** Takes octets up to the end of one line. undefined: the line goes on in the next chunk. */
  take(chunk: Buffer, isAuth: boolean): Line | undefined {
    const end = chunk.indexOf(LF);
    this.used = end < 0 ? chunk.length : end + 1;
    const isWhole = this.#skipped === 0 && this.#partial.length === 0 && end > 0 && end < MAX_COMMAND;
    // The usual line: begun and ended in this chunk.
    if (isWhole && chunk[end - 1] === CR) return { kind: "line", octets: chunk.subarray(0, end - 1) };
    const piece = chunk.subarray(0, this.used);
    if (this.#skipped > 0) return this.#skip(piece, end >= 0);
    const line = this.#partial.length === 0 ? piece : Buffer.concat([this.#partial, piece]);
    this.#partial = EMPTY;
    const isLong = line.length > MAX_COMMAND;
    if (isLong && (line.length > MAX_AUTH || !(isAuth || startsWithAuth(line)))) {
      return this.#skip(line, end >= 0);
    }
    if (end < 0) {
      this.#partial = Buffer.from(line);
      return undefined;
    }
    if (line[line.length - 2] !== CR) return { kind: "bare-lf" };
    return { kind: "line", octets: line.subarray(0, -2) };
  }

  #skip(piece: Buffer, complete: boolean): Line | undefined {
    this.#skipped += piece.length;
    if (this.#skipped > MAX_SKIPPED) return { kind: "endless" };
    if (!complete) return undefined;
    this.#skipped = 0;
    return { kind: "long" };
  }
}

function startsWithAuth(line: Buffer): boolean {
  return line.toString("latin1", 0, 5).toUpperCase() === "AUTH ";
}
