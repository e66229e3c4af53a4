/**
 * Dot-stuffing (RFC 5321 §4.5.2): message octets as they stand between 354 and the final dot.
 *
 * Bare CR and bare LF become CRLF, so that no reader can see an end of data where we see none
 * (SMTP smuggling). A chunk that needs no change is handed on as it is, and only searched; one that does is walked
 * octet by octet and written once.
 *
 * @module
 */
import { LineScan } from "../../mail/line-scan.ts";

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;

const END_AFTER_LINE = Buffer.from(".\r\n");
const END_AFTER_TEXT = Buffer.from("\r\n.\r\n");
const END_AFTER_CR = Buffer.from("\n.\r\n");
/** Octets that an end has at most. */
export const LONGEST_END = END_AFTER_TEXT.length;

/** One message's octets, chunk by chunk. */
export class DotStuffer {
  /** The octet before the next chunk; a message begins like a line. */
  #last = LF;

  write(chunk: Uint8Array): Uint8Array {
    if (chunk.length === 0) return chunk;
    const before = this.#last;
    this.#last = chunk[chunk.length - 1] ?? LF;
    if (isClean(chunk, before)) return chunk;
    const extra = countInsertions(chunk, before);
    return extra === 0 ? chunk : insert(chunk, before, extra);
  }

  /** The end of data, with the line end before it if there was none. */
  end(): Uint8Array {
    if (this.#last === LF) return END_AFTER_LINE;
    return this.#last === CR ? END_AFTER_CR : END_AFTER_TEXT;
  }
}

/** True: nothing is to be inserted. */
function isClean(chunk: Uint8Array, before: number): boolean {
  if (before === CR || (before === LF && chunk[0] === DOT)) return false;
  const scan = new LineScan(chunk);
  for (let at = scan.next(0); at < chunk.length; at = scan.next(at + 1)) {
    const octet = chunk[at];
    if (octet === LF) return false;
    if (octet !== CR) continue;
    // A CR at the very end waits for the next chunk.
    if (at + 1 === chunk.length) return true;
    at += 1;
    if (chunk[at] !== LF || chunk[at + 1] === DOT) return false;
  }
  return true;
}

function countInsertions(chunk: Uint8Array, before: number): number {
  let extra = 0;
  let last = before;
  for (let at = 0; at < chunk.length; at += 1) {
    const octet = chunk[at] as number;
    if (last <= CR || octet === LF) extra += insertionsAt(last, octet);
    last = octet;
  }
  return extra;
}

/** Octets that go between these two. */
function insertionsAt(last: number, octet: number): number {
  if (last === CR && octet !== LF) return octet === DOT ? 2 : 1;
  if (octet === LF) return last === CR ? 0 : 1;
  return octet === DOT && last === LF ? 1 : 0;
}

function insert(chunk: Uint8Array, before: number, extra: number): Uint8Array {
  const out = Buffer.allocUnsafe(chunk.length + extra);
  let to = 0;
  let last = before;
  for (let at = 0; at < chunk.length; at += 1) {
    const octet = chunk[at] as number;
    if (last === CR && octet !== LF) out[to++] = LF;
    else if (octet === LF && last !== CR) out[to++] = CR;
    if (octet === DOT && (last === LF || last === CR)) out[to++] = DOT;
    out[to++] = octet;
    last = octet;
  }
  return out;
}
