/**
 * MX: which hosts take mail for a domain, in the order to try them (RFC 5321 §5.1).
 *
 * In: the domain and a resolver. Out: host names, or why there are none. An unanswered lookup is
 * no answer: the mail waits. Addresses are looked up host by host, when it is its turn.
 *
 * @module
 */
import { toALabel } from "../../mail/domain.ts";
import type { DnsResolver, MxRow } from "./dns.ts";

export interface MxOptions {
  readonly resolver: DnsResolver;
  /** Names of this transport; a list that holds one is cut there. */
  readonly ownNames: readonly string[];
  readonly random: () => number;
}

export type HostList = { readonly kind: "hosts"; readonly hosts: readonly string[] } | NoHosts;

/** Why mail can't go anywhere, for all recipients alike. */
export interface NoHosts {
  readonly kind: "failed" | "deferred";
  readonly status: string;
  readonly text: string;
}

/** More are no help, and a hostile zone may list thousands. */
const MAX_HOSTS = 20;

/** Looks up the hosts of a domain. An address literal is its own host (RFC 5321 §4.1.3). */
export async function mailHosts(domain: string, options: MxOptions): Promise<HostList> {
  if (domain.startsWith("[")) return literalHost(domain);
  const answer = await options.resolver.mx(domain);
  switch (answer.kind) {
    case "unknown":
      return { kind: "deferred", status: "4.4.3", text: `MX lookup of ${domain} failed: ${answer.reason}` };
    case "nxdomain":
      return { kind: "failed", status: "5.1.2", text: `The domain ${domain} does not exist` };
    case "none":
      // RFC 5321 §5.1: without MX records the domain itself is the host, with preference 0.
      return withoutOwn([{ exchange: domain, preference: 0 }], domain, options);
    case "found":
      return fromRecords(answer.records, domain, options);
  }
}

function fromRecords(records: readonly MxRow[], domain: string, options: MxOptions): HostList {
  // RFC 7505 §3: a single record with the root as its exchange says that the domain takes no mail.
  if (records.every(({ exchange }) => exchange === "" || exchange === ".")) {
    return { kind: "failed", status: "5.1.10", text: `The domain ${domain} does not accept mail (null MX)` };
  }
  const usable = records.flatMap(({ exchange, preference }) => {
    const name = hostName(exchange);
    return name === undefined ? [] : [{ exchange: name, preference }];
  });
  if (usable.length === 0) {
    return { kind: "failed", status: "5.4.4", text: `The MX records of ${domain} name no host` };
  }
  return withoutOwn(usable, domain, options);
}

/** RFC 5321 §5.1: the exchange is a domain name, no address; and names go into logs and DSNs. */
function hostName(exchange: string): string | undefined {
  return /^[\d.]+$/.test(exchange) ? undefined : toALabel(exchange);
}

/** RFC 5321 §5.1: drop ourselves and all that are not better; what is left can't lead back to us. */
function withoutOwn(records: readonly MxRow[], domain: string, { ownNames, random }: MxOptions): HostList {
  const own = records.filter(({ exchange }) => ownNames.includes(exchange));
  const limit = Math.min(...own.map(({ preference }) => preference));
  const usable = own.length === 0 ? records : records.filter(({ preference }) => preference < limit);
  if (usable.length === 0) {
    return { kind: "failed", status: "5.4.6", text: `Mail for ${domain} loops back to this host` };
  }
  // RFC 5321 §5.1: equal preferences are tried in random order, to spread the load.
  const order = usable.map((record) => ({ ...record, dice: random() }));
  order.sort((one, two) => one.preference - two.preference || one.dice - two.dice);
  const hosts = [...new Set(order.map(({ exchange }) => exchange))];
  return { kind: "hosts", hosts: hosts.slice(0, MAX_HOSTS) };
}

function literalHost(domain: string): HostList {
  const address = /^\[(?:IPv6:)?([0-9A-Fa-f.:]+)\]$/.exec(domain)?.[1];
  if (address === undefined) {
    return { kind: "failed", status: "5.1.3", text: `The address literal ${domain} is not understood` };
  }
  return { kind: "hosts", hosts: [address] };
}
