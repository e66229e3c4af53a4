/** Hosts: the endpoints for a next hop, one after another, looked up when it is their turn. */
import type { NextHop } from "../../mail/next-hop.ts";
import type { SendConnectorEntry } from "../../snapshot/schema.ts";
import type { DnsResolver, Family } from "./dns.ts";
import { mailHosts, type NoHosts } from "./mx.ts";
import { orderSmartHosts, smartHostPort } from "./smart-host.ts";

export interface Host {
  readonly name: string;
  readonly port: number;
  readonly lmtp: boolean;
  /** Smart hosts are resolved as the machine does, MX hosts by DNS alone. */
  readonly configured: boolean;
}

export interface HostOptions {
  readonly resolver: DnsResolver;
  readonly ownNames: readonly string[];
  readonly random: () => number;
  /** Counts up, for smart hosts that share the load. */
  readonly turn: number;
}

const MAX_ADDRESSES = 10;

/** The hosts of a next hop in order, or why there are none. */
export async function hostsOf(
  nextHop: NextHop,
  connector: SendConnectorEntry,
  options: HostOptions,
): Promise<readonly Host[] | NoHosts> {
  const { routing } = connector;
  if (routing.type === "SmartHost") {
    return orderSmartHosts(routing.smartHosts, options.turn).map((host) => ({
      name: host.host.replace(/^\[(?:IPv6:)?(.*)\]$/, "$1"),
      port: smartHostPort(host),
      lmtp: host.protocol === "LMTP",
      configured: true,
    }));
  }
  const list = await mailHosts(nextHop.domain, options);
  if (list.kind !== "hosts") return list;
  return list.hosts.map((name) => ({ name, port: routing.port, lmtp: false, configured: false }));
}

/** Addresses of a host, families in the connector's order; a string says why there are none. */
export async function addressesOf(
  host: Host,
  connector: SendConnectorEntry,
  resolver: DnsResolver,
): Promise<readonly string[] | NoHosts> {
  const families = familiesOf(connector);
  const literal = familyOf(host.name);
  if (literal !== undefined) return families.includes(literal) ? [host.name] : noAddress(host);
  const lookup = host.configured ? resolver.lookupHost : resolver.lookup;
  const answers = await Promise.all(families.map((family) => lookup(host.name, family)));
  const addresses = answers.flatMap((answer) => (answer.kind === "found" ? answer.records : []));
  if (addresses.length > 0) return addresses.slice(0, MAX_ADDRESSES);
  const unknown = answers.find((answer) => answer.kind === "unknown");
  if (unknown === undefined) return noAddress(host);
  return { kind: "deferred", status: "4.4.3", text: `Lookup of ${host.name} failed: ${unknown.reason}` };
}

/** RFC 3463: X.4.4 unable to route. A configured name may come to be: the mail waits. */
function noAddress({ name, configured }: Host): NoHosts {
  const text = `The host ${name} has no usable address`;
  return configured ? { kind: "deferred", status: "4.4.4", text } : { kind: "failed", status: "5.4.4", text };
}

/** A local address of one family can't reach the other. */
function familiesOf({ routing, sourceIPAddress }: SendConnectorEntry): readonly Family[] {
  const families = routing.ipFamilies.map((family) => (family === "IPv4" ? 4 : 6));
  if (sourceIPAddress === undefined) return families;
  return families.filter((family) => family === familyOf(sourceIPAddress));
}

function familyOf(text: string): Family | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return 4;
  return text.includes(":") ? 6 : undefined;
}
