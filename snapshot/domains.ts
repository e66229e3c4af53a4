/** AcceptedDomain to AcceptedDomainEntry, and the warnings that need the domains of all objects. Pure. */
import { normalizeDomainPattern } from "../crds/formats.ts";
import { type AcceptedDomain, qualifiedName } from "../crds/mod.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import { parseAddress } from "../mail/address.ts";
import { createDomainTable } from "./domain-table.ts";
import type { Recall } from "./recall.ts";
import type { AcceptedDomainEntry, SendConnectorEntry } from "./schema.ts";

export function compileAcceptedDomain(resource: AcceptedDomain): AcceptedDomainEntry {
  const { domains, type, recipients } = resource.spec;
  return {
    name: qualifiedName(resource),
    domains: domains.flatMap((domain) => normalizeDomainPattern(domain) ?? []),
    type,
    recipients,
  };
}

/** Recipients whose domain another object holds, or none: they have no effect. */
export function checkRecipients(entries: readonly AcceptedDomainEntry[]): Diagnostic[] {
  const lists = entries.map((entry) => ({ entry, listed: listedRecipients(entry) }));
  if (lists.every(({ listed }) => listed.length === 0)) return [];
  const table = createDomainTable(entries.map((entry) => ({ ...entry, recipients: NO_RECIPIENTS })));
  return lists.flatMap(({ entry: { name }, listed }) =>
    listed.flatMap(([path, text]) => {
      const domain = parseAddress(text)?.domain ?? "";
      const holder = table.find(domain)?.name;
      if (holder === name) return [];
      const where = holder === undefined ? "is none of this object's domains" : `belongs to ${holder}`;
      return [warning(name, `spec.recipients.${path}`, `${text} has no effect: ${domain} ${where}`)];
    }),
  );
}

/** Path below spec.recipients and address of every recipient that an object lists. */
function listedRecipients({ recipients }: AcceptedDomainEntry): (readonly [string, string])[] {
  return [
    ...recipients.addresses.map((address, at) => [`addresses[${at}]`, address] as const),
    ...recipients.aliases.map(({ alias }, at) => [`aliases[${at}].alias`, alias] as const),
    ...recipients.groups.map(({ address }, at) => [`groups[${at}].address`, address] as const),
    ...recipients.forwards.map(({ address }, at) => [`forwards[${at}].address`, address] as const),
  ];
}

/** What the domains of one object came to under some address spaces. */
export type RouteMemory = Recall<AcceptedDomainEntry, readonly Diagnostic[]>;

/** Accepted domains that no connector takes: their mail would be accepted and then wait as unreachable. */
export function checkRoutes(
  entries: readonly AcceptedDomainEntry[],
  spaces: AddressSpaces,
  memory: RouteMemory,
): Diagnostic[] {
  // A folder without any send connector is one that is still being written, or only checked in part.
  if (spaces.connectors === 0) return [];
  return entries.flatMap((entry) => memory.of(entry, [spaces], () => checkDomains(entry, spaces)));
}

/** Where mail goes without a rule's word. */
export interface AddressSpaces {
  readonly connectors: number;
  readonly domains: ReadonlySet<string>;
  /** Of *.domain the domain; "" for all. */
  readonly parents: ReadonlySet<string>;
}

export function addressSpaces(connectors: readonly SendConnectorEntry[]): AddressSpaces {
  const spaces = connectors
    .filter(({ transportRuleScoped }) => !transportRuleScoped)
    .flatMap((connector) => connector.addressSpaces.map(({ domain }) => domain));
  return {
    connectors: connectors.length,
    domains: new Set(spaces.filter((domain) => !domain.startsWith("*"))),
    parents: new Set(spaces.filter((domain) => domain.startsWith("*")).map((domain) => domain.slice(2))),
  };
}

function checkDomains({ name, domains }: AcceptedDomainEntry, spaces: AddressSpaces): Diagnostic[] {
  const index = domains.findIndex((domain) => !isRouted(domain, spaces));
  if (index < 0) return [];
  const message = `no SendConnector takes ${domains[index]}: its mail would wait as unreachable`;
  return [warning(name, `spec.domains[${index}]`, message)];
}

function isRouted(pattern: string, { domains, parents }: AddressSpaces): boolean {
  if (domains.has(pattern) || parents.has("")) return true;
  const domain = pattern.startsWith("*.") ? pattern.slice(2) : pattern;
  if (parents.has(domain)) return true;
  for (let dot = domain.indexOf("."); dot >= 0; dot = domain.indexOf(".", dot + 1)) {
    if (parents.has(domain.slice(dot + 1))) return true;
  }
  return false;
}

const NO_RECIPIENTS: AcceptedDomainEntry["recipients"] = {
  validation: "None",
  addresses: [],
  aliases: [],
  groups: [],
  forwards: [],
};

function warning(name: string, path: string, message: string): Diagnostic {
  return { object: `AcceptedDomain/${name}`, path, reason: "PartiallyInvalid", message, severity: "warning" };
}
