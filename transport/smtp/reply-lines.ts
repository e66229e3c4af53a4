/** A Reply as the lines of the dialogue (RFC 5321 §4.2, RFC 2034 §4): status on each line, at most 512 octets each. Pure. */
import { type Reply, reply } from "../../mail/reply.ts";

// RFC 5321 §4.5.3.1.5: 512 octets with code, status and CRLF.
const MAX_TEXT = 490;

/** Replies that never change, as they go over the wire. */
const constants = new WeakMap<Reply, string>();

/** A reply that is said again and again: formatted once. */
export function constant(code: number, status: string | undefined, text: string): Reply {
  const made = reply(code, status, text);
  constants.set(made, formatText(made));
  return made;
}

/** The reply as it goes over the wire: its lines, each with CRLF. */
export function replyText(answer: Reply): string {
  return constants.get(answer) ?? formatText(answer);
}

/** Lines without CRLF. Text that could end a line, or is not ASCII, is replaced: it may come from anywhere. */
export function formatLines({ code, status, text }: Reply): readonly string[] {
  const texts = typeof text === "string" ? wrap(text) : text.flatMap(wrap);
  const prefix = status === undefined ? "" : `${status} `;
  return (texts.length === 0 ? [""] : texts).map(
    (line, index, all) => `${code}${index < all.length - 1 ? "-" : " "}${prefix}${line}`,
  );
}

function formatText(answer: Reply): string {
  return `${formatLines(answer).join("\r\n")}\r\n`;
}

function wrap(text: string): string[] {
  const clean = /[^\x20-\x7e]/.test(text)
    ? text.replace(/[\x00-\x1f\x7f]+/g, " ").replace(/[^\x20-\x7e]/gu, "?")
    : text;
  if (clean.length <= MAX_TEXT) return [clean];
  const lines: string[] = [];
  for (let at = 0; at < clean.length; at += MAX_TEXT) lines.push(clean.slice(at, at + MAX_TEXT));
  return lines;
}
