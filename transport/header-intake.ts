/**
 * HeaderIntake: cuts the header block off the front of a message as its octets arrive.
 *
 * In: chunks. Out: the fields and the octets that already belong to the body. Bounded by maxHeaderSize.
 * A first line that is no field begins the body, as every MTA reads it (RFC 5322 §3.5).
 *
 * @module
 */
import { type HeaderField, parseHeader } from "../mail/header.ts";

export interface HeaderEnd {
  readonly header: readonly HeaderField[];
  /** Octets after the blank line that arrived with it. */
  readonly rest: Uint8Array;
}

export interface HeaderIntake {
  /** Takes a chunk; answers once the block is complete, or "too-large". undefined: more is needed. */
  push(chunk: Uint8Array): HeaderEnd | "too-large" | undefined;
  /** The message ended without a blank line. */
  finish(): HeaderEnd;
}

const BLANK_LINE = Buffer.from("\r\n\r\n");
const EMPTY = new Uint8Array(0);

export function createHeaderIntake(maxHeaderSize: number): HeaderIntake {
  let held: Buffer = Buffer.alloc(0);
  return {
    push(chunk) {
      const from = Math.max(0, held.length - 3);
      held =
        held.length === 0
          ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
          : Buffer.concat([held, chunk]);
      if (held.length >= 2 && held[0] === 0x0d && held[1] === 0x0a)
        return { header: [], rest: held.subarray(2) };
      const end = held.indexOf(BLANK_LINE, from);
      if ((end < 0 ? held.length : end) > maxHeaderSize) return "too-large";
      return end < 0 ? undefined : split(held.subarray(0, end + 2), held.subarray(end));
    },
    finish: () => split(held, EMPTY),
  };
}

/** `behind`: the line end of the last field, the blank line and what follows; empty when the message ended before it. */
function split(block: Buffer, behind: Uint8Array): HeaderEnd {
  const header = parseHeader(block.toString("latin1"));
  const stray = header.findIndex((field) => field.name === "");
  if (stray < 0) return { header, rest: behind.subarray(BLANK_LINE.length) };
  const strays = header
    .slice(stray)
    .map((field) => field.raw)
    .join("");
  // The blank line belongs to the body then.
  const rest = Buffer.concat([Buffer.from(strays, "latin1"), behind.subarray(2)]);
  return { header: header.slice(0, stray), rest };
}
