/** IP ranges: address, CIDR and first-last (Exchange RemoteIPRanges); contains and specificity. Pure. */
import ipaddr from "ipaddr.js";

/** Inclusive range of one family; addresses as unsigned integers. IPv4-mapped IPv6 counts as IPv4. */
export interface IpRange {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
  readonly text: string;
}

export interface IpAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** Parses "192.0.2.1", "192.0.2.0/24" or "192.0.2.1-192.0.2.9"; undefined: none of them. */
export function parseIpRange(text: string): IpRange | undefined {
  const [from = "", to, extra] = text.split("-").map((part) => part.trim());
  if (extra !== undefined) return undefined;
  if (to !== undefined) return rangeBetween(parseIp(from), parseIp(to), text);
  if (!text.includes("/")) return rangeBetween(parseIp(from), parseIp(from), text);
  return cidrRange(from, text);
}

/** Parses one address; undefined: not one. */
export function parseIp(text: string): IpAddress | undefined {
  const plain = parseFourParts(text);
  if (plain !== undefined) return plain;
  if (text.length < 2 || text.length > 64) return undefined;
  if (!ipaddr.IPv4.isValidFourPartDecimal(text) && !ipaddr.IPv6.isValid(text)) return undefined;
  const address = ipaddr.process(text);
  return { family: address.kind() === "ipv4" ? 4 : 6, value: toBigInt(address.toByteArray()) };
}

const FOUR_PARTS = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;

/** The usual spelling, read at once; undefined: another one, or none. */
function parseFourParts(text: string): IpAddress | undefined {
  const parts = FOUR_PARTS.exec(text);
  if (parts === null) return undefined;
  let value = 0;
  for (let at = 1; at <= 4; at++) {
    const part = Number(parts[at]);
    if (part > 255) return undefined;
    value = value * 256 + part;
  }
  return { family: 4, value: BigInt(value) };
}

export function rangeContains(range: IpRange, address: IpAddress): boolean {
  return range.family === address.family && range.first <= address.value && address.value <= range.last;
}

/** Number of addresses: smaller is more specific. */
export function rangeSize(range: IpRange): bigint {
  return range.last - range.first + 1n;
}

function rangeBetween(a: IpAddress | undefined, b: IpAddress | undefined, text: string): IpRange | undefined {
  if (a === undefined || b === undefined || a.family !== b.family || a.value > b.value) return undefined;
  return { family: a.family, first: a.value, last: b.value, text };
}

function cidrRange(cidr: string, text: string): IpRange | undefined {
  const [address = "", prefix = "", extra] = cidr.split("/");
  const ip = parseIp(address);
  if (ip === undefined || !/^\d{1,3}$/.test(prefix) || extra !== undefined) return undefined;
  const width = ip.family === 4 ? 32 : 128;
  // ::ffff:10.0.0.0/104 is 10.0.0.0/8 (RFC 4291 §2.5.5.2).
  const bits = Number(prefix) - (width === 32 && address.includes(":") ? 96 : 0);
  if (bits < 0 || bits > width) return undefined;
  const hostMask = (1n << BigInt(width - bits)) - 1n;
  const first = ip.value - (ip.value & hostMask);
  return { family: ip.family, first, last: first + hostMask, text };
}

function toBigInt(bytes: readonly number[]): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
