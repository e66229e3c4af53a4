/**
 * PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): a balancer tells the client's address.
 *
 * In: the octets so far. Out: "more", "bad" with the reason, or the header and its length. No I/O.
 *
 * @module
 */
import { SocketAddress } from "node:net";
import { type IpAddress, parseIp } from "../../mail/ip-range.ts";
import { crc32c } from "./crc32c.ts";

export interface ProxyEndpoint {
  readonly address: string;
  readonly port: number;
}

export interface ProxyHeader {
  /** LOCAL: the balancer speaks for itself, as in a health check. */
  readonly command: "LOCAL" | "PROXY";
  /** undefined: the balancer does not say (UNKNOWN, AF_UNSPEC, AF_UNIX); the socket's own ends hold. */
  readonly ends: { readonly source: ProxyEndpoint; readonly destination: ProxyEndpoint } | undefined;
}

export type ProxyParse =
  | { readonly state: "more" }
  | { readonly state: "bad"; readonly reason: string }
  | { readonly state: "done"; readonly header: ProxyHeader; readonly length: number };

const SIGNATURE_V1 = Buffer.from("PROXY ");
const SIGNATURE_V2 = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
// proxy-protocol.txt section 2.1: a line with its CRLF has at most 107 octets.
const MAX_LINE = 107;
const HEADER_V2 = 16;
const PP2_TYPE_CRC32C = 0x03;
const MORE: ProxyParse = { state: "more" };

/** Parses the header at the start of `octets`; call again with more of them when it says so. */
export function parseProxyHeader(octets: Buffer): ProxyParse {
  if (startsAs(octets, SIGNATURE_V2)) return octets.length < HEADER_V2 ? MORE : parseV2(octets);
  if (startsAs(octets, SIGNATURE_V1)) return parseV1(octets);
  return bad("no PROXY header");
}

/** True while the octets so far could begin with the signature, or do. */
function startsAs(octets: Buffer, signature: Buffer): boolean {
  const length = Math.min(octets.length, signature.length);
  return octets.subarray(0, length).equals(signature.subarray(0, length));
}

function parseV1(octets: Buffer): ProxyParse {
  const lineEnd = octets.subarray(0, MAX_LINE).indexOf("\r\n");
  if (lineEnd < 0) return octets.length < MAX_LINE ? MORE : bad("the version 1 line is too long");
  const words = octets.toString("latin1", 0, lineEnd).split(" ");
  const length = lineEnd + 2;
  // Section 2.1: whatever follows UNKNOWN is ignored.
  if (words[1] === "UNKNOWN") return done("PROXY", undefined, length);
  const [, protocol, from = "", to = "", fromPort = "", toPort = ""] = words;
  const family = protocol === "TCP4" ? 4 : 6;
  if (words.length !== 6 || (protocol !== "TCP4" && protocol !== "TCP6"))
    return bad("the version 1 line is malformed");
  const source = endpointV1(family, from, fromPort);
  const destination = endpointV1(family, to, toPort);
  if (source === undefined || destination === undefined)
    return bad("the version 1 line holds a bad address or port");
  return done("PROXY", { source, destination }, length);
}

function endpointV1(family: 4 | 6, address: string, port: string): ProxyEndpoint | undefined {
  const ip = parseIp(address);
  if (address.includes(":") !== (family === 6) || ip === undefined || address.includes("%")) return undefined;
  if (!/^(?:0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65535) return undefined;
  return { address: formatIp(octetsOf(ip)), port: Number(port) };
}

function octetsOf({ family, value }: IpAddress): Buffer {
  return Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, "0"), "hex");
}

function parseV2(octets: Buffer): ProxyParse {
  const versionAndCommand = octets.readUInt8(12);
  // Section 2.2: version 2; command 0 is LOCAL, 1 is PROXY, all others must be refused.
  if (versionAndCommand !== 0x20 && versionAndCommand !== 0x21) return bad("unknown version or command");
  const length = HEADER_V2 + octets.readUInt16BE(14);
  if (octets.length < length) return MORE;
  const header = octets.subarray(0, length);
  const family = octets.readUInt8(13);
  const addressLength = ADDRESS_LENGTHS.get(family);
  // Section 2.2: LOCAL must be accepted whatever its family says, and its block skipped.
  if (versionAndCommand === 0x20) return done("LOCAL", undefined, length);
  if (addressLength === undefined) return bad("a family or transport that SMTP cannot use");
  if (length < HEADER_V2 + addressLength) return bad("the address block is too short");
  const fault = family === 0 ? undefined : checkTlvs(header, HEADER_V2 + addressLength);
  if (fault !== undefined) return bad(fault);
  return done("PROXY", endpointsV2(header, family), length);
}

/** Octets of the address block: AF_UNSPEC, TCP over IPv4, TCP over IPv6, AF_UNIX stream. */
const ADDRESS_LENGTHS: ReadonlyMap<number, number> = new Map([
  [0x00, 0],
  [0x11, 12],
  [0x21, 36],
  [0x31, 216],
]);

function endpointsV2(header: Buffer, family: number): ProxyHeader["ends"] {
  if (family !== 0x11 && family !== 0x21) return undefined;
  const size = family === 0x11 ? 4 : 16;
  const ports = HEADER_V2 + 2 * size;
  const address = (start: number) => formatIp(header.subarray(start, start + size));
  return {
    source: { address: address(HEADER_V2), port: header.readUInt16BE(ports) },
    destination: { address: address(HEADER_V2 + size), port: header.readUInt16BE(ports + 2) },
  };
}

/** As RFC 5952 writes it; an IPv4-mapped address as IPv4. */
function formatIp(octets: Buffer): string {
  if (octets.length === 4) return octets.join(".");
  const groups = Array.from({ length: 8 }, (_, group) => octets.readUInt16BE(2 * group).toString(16));
  const { address } = new SocketAddress({ address: groups.join(":"), family: "ipv6" });
  return plainAddress(address);
}

/** An IPv4-mapped address, as a dual-stack socket has it of an IPv4 client, as IPv4; others as they are. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

/** Section 2.2.3 and 2.2.5: TLVs must fit their block, and the CRC32c must be right when it is there. */
function checkTlvs(header: Buffer, start: number): string | undefined {
  let position = start;
  while (position < header.length) {
    if (position + 3 > header.length) return "a TLV is cut off";
    const end = position + 3 + header.readUInt16BE(position + 1);
    if (end > header.length) return "a TLV is longer than the header";
    if (header.readUInt8(position) === PP2_TYPE_CRC32C && !checksumHolds(header, position + 3, end)) {
      return "the CRC32c is wrong";
    }
    position = end;
  }
  return undefined;
}

function checksumHolds(header: Buffer, start: number, end: number): boolean {
  if (end - start !== 4) return false;
  const blank = Buffer.from(header);
  blank.fill(0, start, end);
  return crc32c(blank) === header.readUInt32BE(start);
}

function done(command: ProxyHeader["command"], ends: ProxyHeader["ends"], length: number): ProxyParse {
  return { state: "done", header: { command, ends }, length };
}

function bad(reason: string): ProxyParse {
  return { state: "bad", reason };
}
