/**
 * ContentWriter: the octets of a message as DATA or BDAT want them.
 *
 * DATA is dot-stuffed and ends in a dot (RFC 5321 §4.5.2). BDAT says its size first and sends every octet as it is
 * (RFC 3030 §2): the only way for binary content.
 *
 * @module
 */
import { DotStuffer, LONGEST_END } from "./dot-stuffing.ts";

export interface ContentWriter {
  begin(): Uint8Array;
  write(chunk: Uint8Array): Uint8Array;
  /** Throws when fewer or more octets were written than promised. */
  end(): Uint8Array;
}

const NOTHING = new Uint8Array(0);

export function dataWriter(): ContentWriter {
  const stuffer = new DotStuffer();
  return { begin: () => NOTHING, write: (chunk) => stuffer.write(chunk), end: () => stuffer.end() };
}

/** All of a message that is in memory, in one piece for one write. */
export function wholeData(header: string, body: Uint8Array): Uint8Array {
  const size = header.length + body.length;
  const octets = Buffer.allocUnsafe(size + LONGEST_END);
  octets.write(header, "latin1");
  octets.set(body, header.length);
  const content = octets.subarray(0, size);
  const stuffer = new DotStuffer();
  const stuffed = stuffer.write(content);
  const end = stuffer.end();
  if (stuffed !== content) return Buffer.concat([stuffed, end]);
  octets.set(end, size);
  return octets.subarray(0, size + end.length);
}

/** One chunk, the last: the size is known. */
export function bdatWriter(size: number): ContentWriter {
  let left = size;
  const guard = (holds: boolean) => {
    if (!holds) throw new Error(`Cannot send content: ${size} octets were announced, ${size - left} came`);
  };
  return {
    begin: () => Buffer.from(`BDAT ${size} LAST\r\n`, "latin1"),
    write(chunk) {
      left -= chunk.length;
      guard(left >= 0);
      return chunk;
    },
    end() {
      guard(left === 0);
      return NOTHING;
    },
  };
}
