/**
 * ReplyReader: octets from a server to complete replies (RFC 5321 §4.2.1), the lines of one joined by LF.
 *
 * A line ends in LF, with or without CR. Empty lines are no replies. One of more than 64 KiB is none.
 *
 * @module
 */
import { isAscii } from "node:buffer";

const MAX_REPLY = 64 * 1024;

export class ReplyReader {
  /** Lines that came of a reply, each with its LF. */
  #reply = "";
  /** The line that is coming. Octets, as all text here until a reply is whole. */
  #line = "";
  /** Nothing but ASCII came so far. */
  #isPlain = true;

  /** What came of a line or reply that did not end. */
  get rest(): string {
    return this.#decode(this.#reply + this.#line);
  }

  /** The replies that this chunk ends; undefined: one is longer than any reply may be. */
  feed(chunk: Buffer): readonly string[] | undefined {
    this.#isPlain &&= isAscii(chunk);
    const octets = chunk.toString("latin1");
    const replies: string[] = [];
    let from = 0;
    for (let end = octets.indexOf("\n"); end >= 0; end = octets.indexOf("\n", from)) {
      this.#take(this.#line + octets.slice(from, end), replies);
      this.#line = "";
      from = end + 1;
    }
    this.#line += octets.slice(from);
    const isTooLong = this.#reply.length + this.#line.length > MAX_REPLY;
    return isTooLong || replies.some(({ length }) => length > MAX_REPLY) ? undefined : replies;
  }

  /** A line without its LF; the CR may have come in the chunk before. */
  #take(text: string, replies: string[]): void {
    const line = text.endsWith("\r") ? text.slice(0, -1) : text;
    if (/^\d+-/.test(line)) {
      this.#reply += `${line}\n`;
      return;
    }
    const reply = this.#reply + line;
    this.#reply = "";
    if (reply.trim() !== "") replies.push(this.#decode(reply));
  }

  /** Replies may be in UTF-8 (RFC 6531 §3.7.4), or in whatever else somebody thought of. */
  #decode(octets: string): string {
    if (this.#isPlain) return octets;
    const text = Buffer.from(octets, "latin1").toString("utf8");
    return text.includes("\ufffd") ? octets : text;
  }
}
