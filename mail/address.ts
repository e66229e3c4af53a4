/**
 * Address: an RFC 5321 Mailbox, parsed once, compared by key.
 *
 * localPart is unquoted (what the quotes mean); domain is a lower-case A-label, an address literal,
 * or "" for the bare <postmaster> of RFC 5321 §4.5.1.
 *
 * @module
 */
import { isAddressLiteral, toALabel } from "./domain.ts";

export interface Address {
  readonly localPart: string;
  readonly domain: string;
}

// RFC 5321 §4.1.2 atext alone, as nearly all local parts are: found in a fraction of the time.
const ASCII_ATOM = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
// RFC 6531 §3.3: UTF-8 beyond ASCII.
const ATOM =
  /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\u{10ffff}-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\u{10ffff}-]+)*$/u;
const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e\u0080-\u{10ffff}]|\\[\x20-\x7e])*)"$/u;

/** Parses a mailbox such as ann@example.com or "a b"@example.com. undefined: not one. */
export function parseAddress(text: string): Address | undefined {
  const at = text.lastIndexOf("@");
  if (at <= 0) return undefined;
  const localPart = parseLocalPart(text.slice(0, at));
  if (localPart === undefined) return undefined;
  const host = text.slice(at + 1);
  if (host.length > 255) return undefined; // RFC 5321 §4.5.3.1.2
  const domain = host.startsWith("[") && isAddressLiteral(host) ? literal(host) : toALabel(host);
  return domain === undefined ? undefined : { localPart, domain };
}

// One spelling for each address: the tag as RFC 5321 §4.1.3 writes it, the rest in lower case.
function literal(host: string): string {
  return host.toLowerCase().replace("[ipv6:", "[IPv6:");
}

/** Unquoted local part, or undefined; at most 64 octets (RFC 5321 §4.5.3.1.1). */
export function parseLocalPart(text: string): string | undefined {
  if (ASCII_ATOM.test(text)) return text.length > 64 ? undefined : text;
  if (Buffer.byteLength(text) > 64) return undefined;
  if (ATOM.test(text)) return text;
  const quoted = QUOTED.exec(text);
  return quoted?.[1]?.replace(/\\(.)/g, "$1");
}

/** As written on the wire, quoted where needed; without angle brackets. */
export function formatAddress({ localPart, domain }: Address): string {
  const isAtom = ASCII_ATOM.test(localPart) || ATOM.test(localPart);
  const local = isAtom ? localPart : `"${localPart.replace(/["\\]/g, "\\$&")}"`;
  return domain === "" ? local : `${local}@${domain}`;
}

/** Key for comparison: local parts are compared without case, as every mailbox system here does. */
export function addressKey({ localPart, domain }: Address): string {
  return `${localPart.toLowerCase()}@${domain}`;
}

/** formatAddress, or "" for the null reverse-path. */
export function formatPath(address: Address | null): string {
  return address === null ? "" : formatAddress(address);
}

/** True when the address needs SMTPUTF8 (RFC 6531) to be sent. */
export function isUtf8Address({ localPart }: Address): boolean {
  return /[^\x00-\x7f]/.test(localPart);
}
