/** What kind of octets a body holds: 7bit, 8bit or binary (RFC 2045 §2.7 to §2.9). One pass. */
import { isAscii } from "node:buffer";
import { LineScan } from "./line-scan.ts";

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
  const scan = new LineScan(octets);
  let lineStart = 0;
  for (let at = scan.next(0); at < octets.length; at = scan.next(at + 1)) {
    const octet = octets[at];
    if (octet === 0 || (octet === LF && octets[at - 1] !== CR)) return true;
    if (octet === CR && octets[at + 1] !== LF) return true;
    if (octet !== LF) continue;
    if (at - 1 - lineStart > MAX_LINE) return true;
    lineStart = at + 1;
  }
  return octets.length - lineStart > MAX_LINE;
}
