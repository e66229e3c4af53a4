/**
 * Bindings: which connectors share a local address and port, and which server sockets that takes.
 *
 * In: the connectors of a snapshot. Out: a table of bindings with an index of their ranges; what cannot hold is a diagnostic.
 * A binding with an address of its own goes before 0.0.0.0, and that before every address. Pure.
 *
 * @module
 */
import type { Diagnostic } from "../../lib/diagnostics.ts";
import { type IpRange, parseIp, parseIpRange, rangeContains } from "../../mail/ip-range.ts";
import { Recall } from "../../snapshot/recall.ts";
import type { ReceiveConnectorEntry } from "../../snapshot/schema.ts";
import { indexRanges, type RangeIndex } from "./range-index.ts";

/** Local end of a connection: the address reached, and the port as the binding declares it. */
export interface LocalEnd {
  readonly address: string;
  readonly port: number;
}

export interface Member {
  readonly connector: ReceiveConnectorEntry;
  /** Field of the binding in the connector: "spec.bindings[0]". */
  readonly path: string;
}

export interface Claim {
  readonly connector: ReceiveConnectorEntry;
  readonly range: IpRange;
}

export interface Binding {
  /** "" is every address, IPv4 and IPv6. */
  readonly address: string;
  readonly port: number;
  readonly implicitTls: boolean;
  readonly members: readonly Member[];
  /** Balancers of any of its connectors: they must begin with a PROXY header. */
  readonly trustedProxies: readonly IpRange[];
  readonly index: RangeIndex<Claim>;
}

/** Bindings by `bindingKey`. */
export type ConnectorTable = ReadonlyMap<string, Binding>;

/** One server socket to open, and the bindings it serves. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly members: readonly Member[];
}

const EVERY_ADDRESS = "";
/** What was found for local ends, so that each connection asks once: a machine has few addresses, but may have a network. */
const foundIn = new WeakMap<ConnectorTable, Map<string, readonly Binding[]>>();
const MAX_LOCAL_ENDS = 1000;
const claimsOf = new Recall<ReceiveConnectorEntry, readonly Claim[]>();
const EVERY_IPV4 = "0.0.0.0";

/** Groups connectors by binding and indexes their ranges; a binding without an address is at `everywhere`. Never throws. */
export function buildConnectorTable(
  connectors: readonly ReceiveConnectorEntry[],
  everywhere = EVERY_ADDRESS,
): {
  readonly table: ConnectorTable;
  readonly diagnostics: readonly Diagnostic[];
} {
  const diagnostics: Diagnostic[] = [];
  const groups = new Map<string, { address: string; port: number; members: Member[] }>();
  for (const connector of connectors) {
    for (const [position, { address, port }] of connector.bindings.entries()) {
      const path = `spec.bindings[${position}]`;
      const canonical = canonicalAddress(address ?? everywhere);
      if (canonical === undefined) {
        diagnostics.push(
          fault(
            connector,
            `${path}.address`,
            "Invalid",
            `"${address}" is no IP address; write one, or leave it out`,
          ),
        );
        continue;
      }
      const key = bindingKey(canonical, port);
      const group = groups.get(key) ?? { address: canonical, port, members: [] };
      // Members come connector by connector: one that is there already is the last.
      if (group.members.at(-1)?.connector !== connector) group.members.push({ connector, path });
      groups.set(key, group);
    }
  }
  const table = new Map<string, Binding>();
  for (const [key, group] of groups) {
    const { members, implicitTls, conflicts } = settleTls(group.members);
    diagnostics.push(...conflicts);
    table.set(key, { ...group, members, implicitTls, ...indexMembers(members) });
  }
  return { table, diagnostics };
}

/** The table alone, for those who only ask it. */
export function createConnectorTable(connectors: readonly ReceiveConnectorEntry[]): ConnectorTable {
  return buildConnectorTable(connectors).table;
}

/** Bindings that a connection to this local end belongs to, the one with its own address first. */
export function bindingsAt(table: ConnectorTable, { address, port }: LocalEnd): readonly Binding[] {
  const key = bindingKey(address, port);
  let known = foundIn.get(table);
  const found = known?.get(key);
  if (found !== undefined) return found;
  if (known === undefined || known.size === MAX_LOCAL_ENDS) known = new Map();
  const bindings = findBindings(table, { address, port });
  foundIn.set(table, known.set(key, bindings));
  return bindings;
}

function findBindings(table: ConnectorTable, { address, port }: LocalEnd): readonly Binding[] {
  const canonical = canonicalAddress(address) ?? EVERY_ADDRESS;
  const isIpv4 = parseIp(address)?.family === 4;
  const keys = new Set([canonical, ...(isIpv4 ? [EVERY_IPV4] : []), EVERY_ADDRESS]);
  return [...keys].flatMap((name) => table.get(bindingKey(name, port)) ?? []);
}

/**
 * Server sockets that the table needs. The kernel refuses an address beside every address on one port,
 * so the wider socket serves the narrower binding too.
 */
export function endpointsOf(table: ConnectorTable): readonly Endpoint[] {
  const endpoints: Endpoint[] = [];
  for (const { address, port, members } of table.values()) {
    if (coveredBy(table, address, port) !== undefined) continue;
    const inside = [...table.values()].filter(
      (other) => coveredBy(table, other.address, other.port) === address,
    );
    const served = inside.filter((other) => other.port === port).flatMap((other) => other.members);
    endpoints.push({ address, port, members: [...members, ...served] });
  }
  return endpoints;
}

/** True when this peer is a balancer that must begin with a PROXY header. */
export function isTrustedProxy(table: ConnectorTable, local: LocalEnd, peer: string): boolean {
  const bindings = bindingsAt(table, local).filter(({ trustedProxies }) => trustedProxies.length > 0);
  const address = bindings.length === 0 ? undefined : parseIp(peer);
  if (address === undefined) return false;
  return bindings.some(({ trustedProxies }) => trustedProxies.some((range) => rangeContains(range, address)));
}

function coveredBy(table: ConnectorTable, address: string, port: number): string | undefined {
  if (address === EVERY_ADDRESS) return undefined;
  if (table.has(bindingKey(EVERY_ADDRESS, port))) return EVERY_ADDRESS;
  const isNarrowIpv4 = address !== EVERY_IPV4 && parseIp(address)?.family === 4;
  return isNarrowIpv4 && table.has(bindingKey(EVERY_IPV4, port)) ? EVERY_IPV4 : undefined;
}

function bindingKey(address: string, port: number): string {
  return `${address}|${port}`;
}

/** One spelling for each address; "" for every address; undefined: no address. */
function canonicalAddress(address: string | undefined): string | undefined {
  if (address === undefined || address === "") return EVERY_ADDRESS;
  const ip = parseIp(address);
  if (ip === undefined) return undefined;
  if (ip.value === 0n) return ip.family === 4 ? EVERY_IPV4 : EVERY_ADDRESS;
  return ip.family === 4 ? digits(ip.value, 8n, 10).join(".") : digits(ip.value, 16n, 16).join(":");
}

/** The number in digits of so many bits each: 4 of 8 bits, 8 of 16 bits. */
function digits(value: bigint, bits: bigint, radix: number): string[] {
  const count = bits === 8n ? 4n : 8n;
  return Array.from({ length: Number(count) }, (_, position) => {
    const shift = bits * (count - 1n - BigInt(position));
    return ((value >> shift) & ((1n << bits) - 1n)).toString(radix);
  });
}

/** TLS from the first byte holds for a whole binding: nobody can tell before the handshake who would not want it. */
function settleTls(members: readonly Member[]): {
  readonly members: readonly Member[];
  readonly implicitTls: boolean;
  readonly conflicts: readonly Diagnostic[];
} {
  const implicit = members.filter(({ connector }) => connector.tls.mode === "Implicit");
  const [first] = implicit;
  if (first === undefined) return { members, implicitTls: false, conflicts: [] };
  const conflicts = members
    .filter((member) => !implicit.includes(member))
    .map(({ connector, path }) =>
      fault(
        connector,
        path,
        "Conflicted",
        `ReceiveConnector "${first.connector.name}" has tls.mode Implicit on this binding; use another port, or Implicit here too`,
      ),
    );
  return { members: implicit, implicitTls: true, conflicts };
}

function indexMembers(members: readonly Member[]): Pick<Binding, "index" | "trustedProxies"> {
  const claims = members.flatMap(({ connector }) =>
    claimsOf.of(connector, [], () =>
      parseRanges(connector.remoteIPRanges).map((range) => ({ connector, range })),
    ),
  );
  const trustedProxies = members.flatMap(({ connector }) =>
    parseRanges(connector.proxyProtocol?.trustedCIDRs ?? []),
  );
  return { index: indexRanges(claims), trustedProxies };
}

/** Ranges that do not parse were named by the compiler; they hold nobody. */
export function parseRanges(texts: readonly string[]): readonly IpRange[] {
  return texts.flatMap((text) => parseIpRange(text) ?? []);
}

function fault(connector: ReceiveConnectorEntry, path: string, reason: string, message: string): Diagnostic {
  return { object: `ReceiveConnector/${connector.name}`, path, reason, message, severity: "error" };
}
