/** Domain names: A-labels (RFC 5890), validity (RFC 5321 §4.1.2), patterns and suffix walks. Pure. */
import { domainToASCII } from "node:url";

/** A name that is its own A-label: in lower case, with labels of 63 octets at most. */
const PLAIN = /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const LDH = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

/** Lower-case A-label form without final dot, or undefined if it is no domain name. Address literals are not domains. */
export function toALabel(text: string): string | undefined {
  if (text.length <= 253 && PLAIN.test(text)) return text;
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  // No name of more characters fits 253 octets; the bound keeps the mapping cheap.
  if (name.length === 0 || name.length > 255) return undefined;
  // domainToASCII drops line breaks and undoes percent signs: no domain holds them.
  if (/[\x00-\x2c/\x3a-\x40\x5b-\x5e`\x7b-\x7f]/.test(name)) return undefined;
  // It also maps, so plain ASCII names skip it: they need no mapping and may hold "_".
  const ascii = /^[\x21-\x7e]+$/.test(name) ? name.toLowerCase() : domainToASCII(name);
  if (ascii.length === 0 || ascii.length > 253) return undefined;
  return ascii.split(".").every((label) => LDH.test(label)) ? ascii : undefined;
}

/** Address literal such as [192.0.2.1] or [IPv6:2001:db8::1] (RFC 5321 §4.1.3), by shape only. */
export function isAddressLiteral(text: string): boolean {
  return /^\[(?:[0-9.]+|IPv6:[0-9A-Fa-f:.]+|[A-Za-z0-9-]+:[\x21-\x5a\x5e-\x7e]+)\]$/.test(text);
}

/** "a.b.c" -> ["a.b.c", "b.c", "c"]: the domain and its parents, most specific first. */
export function domainAndParents(domain: string): string[] {
  const names = [domain];
  for (let dot = domain.indexOf("."); dot >= 0; dot = domain.indexOf(".", dot + 1)) {
    names.push(domain.slice(dot + 1));
  }
  return names;
}

/** True when `domain` is `parent` or lies below it. Both A-labels in lower case. */
export function isSameOrSubdomain(domain: string, parent: string): boolean {
  return domain === parent || (domain.endsWith(parent) && domain[domain.length - parent.length - 1] === ".");
}
