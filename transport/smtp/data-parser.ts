/**
 * DataParser: octets of DATA or BDAT to octets of the message.
 *
 * Ends DATA at CRLF.CRLF and nowhere else, removes transparency dots (RFC 5321 §4.5.2), and finds bare CR,
 * bare LF, NUL and overlong lines, or turns bare CR and LF into CRLF for clients that are allowed to send them.
 * One pass: the cost follows the octets, not the dots. Undisturbed input is passed on as a subarray, without a copy.
 * Errors: none are thrown; `fault` names the first one, and from then on no octet is passed on.
 *
 * @module
 */

import { LineScan } from "../../mail/line-scan.ts";
import { Compactor } from "./compactor.ts";

export type ContentFault = "bare" | "long";

export interface DataParserOptions {
  /** True for DATA: dots are transparent, CRLF.CRLF ends. False for BDAT (RFC 3030 §2). */
  readonly transparency: boolean;
  /** Bare CR and bare LF become CRLF instead of a fault. NUL stays a fault. */
  readonly normalize: boolean;
}

// RFC 5321 §4.5.3.1.6: 1000 octets with CRLF.
const MAX_LINE = 998;
const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;
const DOT = 0x2e;
const EMPTY: Buffer = Buffer.alloc(0);
const CARRIAGE_RETURN: Buffer = Buffer.from("\r");
const LINE_FEED: Buffer = Buffer.from("\n");
const CR_LF: Buffer = Buffer.from("\r\n");

// Where the parser stands, seen from the octet before. Only CRLF begins a line whose dot is transparent:
// after a bare CR or LF the parser stands inside.
const LINE_START = 0; // after CRLF, or at the start of the message
const INSIDE = 1;
const AFTER_CR = 2;
const AFTER_DOT = 3; // a line's first dot, not passed on
const AFTER_DOT_CR = 4; // CRLF . CR, neither dot nor CR passed on

export class DataParser {
  /** What the last feed() found, to be passed on; empty when nothing is. */
  output: Buffer = EMPTY;
  fault: ContentFault | undefined = undefined;
  /** True once CRLF.CRLF was seen. */
  ended = false;
  readonly #transparency: boolean;
  readonly #normalize: boolean;
  #scan = new LineScan(EMPTY);
  #state = LINE_START;
  #lineLength = 0;

  constructor({ transparency, normalize }: DataParserOptions) {
    this.#transparency = transparency;
    this.#normalize = normalize;
  }

  /** Takes octets up to the end of data; returns how many. The message's octets are in `output`. */
  feed(chunk: Buffer): number {
    const copy = new Compactor(chunk);
    this.#scan = new LineScan(chunk);
    let at = 0;
    while (at < chunk.length && !this.ended) at = this.#step(chunk, at, copy);
    if (this.#lineLength > MAX_LINE) this.#fail("long");
    this.output = this.fault === undefined ? copy.finish(at) : EMPTY;
    return at;
  }

  /** No octet follows (BDAT LAST): a CR without its LF is bare. Returns what is still to be passed on. */
  finish(): Buffer {
    if (this.#state !== AFTER_CR) return EMPTY;
    if (!this.#normalize) this.#fail("bare");
    return this.fault === undefined ? LINE_FEED : EMPTY;
  }

  #step(chunk: Buffer, at: number, copy: Compactor): number {
    switch (this.#state) {
      case INSIDE:
        return this.#inside(chunk, at, copy);
      case AFTER_CR:
        return this.#afterCr(chunk, at, copy);
      case AFTER_DOT:
        return this.#afterDot(chunk, at, copy);
      case AFTER_DOT_CR:
        return this.#afterDotCr(chunk, at, copy);
      default:
        return this.#lineStart(chunk, at, copy);
    }
  }

  #inside(chunk: Buffer, start: number, copy: Compactor): number {
    const at = this.#scan.next(start);
    this.#lineLength += at - start;
    if (at === chunk.length) return at;
    const octet = chunk[at];
    if (octet === CR) this.#state = AFTER_CR;
    else if (octet === NUL) this.#fail("bare");
    else this.#bareLf(at, copy);
    return at + 1;
  }

  #afterCr(chunk: Buffer, at: number, copy: Compactor): number {
    const isPair = chunk[at] === LF;
    if (!isPair) {
      if (!this.#normalize) this.#fail("bare");
      copy.insert(at, LINE_FEED); // the CR is out already: it becomes CRLF
    }
    this.#endLine(isPair ? LINE_START : INSIDE);
    return isPair ? at + 1 : at;
  }

  #lineStart(chunk: Buffer, at: number, copy: Compactor): number {
    if (chunk[at] !== DOT || !this.#transparency) return this.#enter(at);
    copy.drop(at);
    this.#state = AFTER_DOT;
    return at + 1;
  }

  #afterDot(chunk: Buffer, at: number, copy: Compactor): number {
    if (chunk[at] !== CR) return this.#enter(at);
    copy.drop(at);
    this.#state = AFTER_DOT_CR;
    return at + 1;
  }

  #afterDotCr(chunk: Buffer, at: number, copy: Compactor): number {
    if (chunk[at] === LF) {
      copy.drop(at);
      this.ended = true;
      return at + 1;
    }
    // CRLF . CR x: the dot was transparent, the CR is bare.
    if (!this.#normalize) this.#fail("bare");
    copy.insert(at, CR_LF);
    this.#endLine(INSIDE);
    return at;
  }

  #bareLf(at: number, copy: Compactor): void {
    if (!this.#normalize) this.#fail("bare");
    copy.insert(at, CARRIAGE_RETURN);
    this.#endLine(INSIDE);
  }

  #enter(at: number): number {
    this.#state = INSIDE;
    return at;
  }

  #endLine(state: number): void {
    if (this.#lineLength > MAX_LINE) this.#fail("long");
    this.#lineLength = 0;
    this.#state = state;
  }

  #fail(fault: ContentFault): void {
    this.fault ??= fault;
  }
}
