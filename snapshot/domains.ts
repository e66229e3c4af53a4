/** AcceptedDomain to AcceptedDomainEntry, and the warnings that need the domains of all objects. Pure. */
import { normalizeDomainPattern } from "../crds/formats.ts";
import { type AcceptedDomain, qualifiedName } from "../crds/mod.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import { parseAddress } from "../mail/address.ts";
import { domainAndParents } from "../mail/domain.ts";
import { createDomainTable } from "./domain-table.ts";
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
  const table = createDomainTable(entries.map((entry) => ({ ...entry, recipients: NO_RECIPIENTS })));
  return entries.flatMap(({ name, recipients }) => {
    const listed = [
      ...recipients.addresses.map((address, at) => [`addresses[${at}]`, address] as const),
      ...recipients.aliases.map(({ alias }, at) => [`aliases[${at}].alias`, alias] as const),
      ...recipients.groups.map(({ address }, at) => [`groups[${at}].address`, address] as const),
      ...recipients.forwards.map(({ address }, at) => [`forwards[${at}].address`, address] as const),
    ];
    return listed.flatMap(([path, text]) => {
      const domain = parseAddress(text)?.domain ?? "";
      const holder = table.find(domain)?.name;
      if (holder === name) return [];
      const where = holder === undefined ? "is none of this object's domains" : `belongs to ${holder}`;
      return [warning(name, `spec.recipients.${path}`, `${text} has no effect: ${domain} ${where}`)];
    });
  });
}

/** Accepted domains that no connector takes: their mail would be accepted and then wait as unreachable. */
export function checkRoutes(
  entries: readonly AcceptedDomainEntry[],
  connectors: readonly SendConnectorEntry[],
): Diagnostic[] {
  // A folder without any send connector is one that is still being written, or only checked in part.
  if (connectors.length === 0) return [];
  const ruled = connectors.filter(({ transportRuleScoped }) => !transportRuleScoped);
  const spaces = new Set(ruled.flatMap(({ addressSpaces }) => addressSpaces.map(({ domain }) => domain)));
  const isRouted = (pattern: string) => {
    const domain = pattern.replace(/^\*\./, "");
    const parents = domainAndParents(domain).map((parent) => `*.${parent}`);
    return ["*", pattern, ...parents].some((space) => spaces.has(space));
  };
  return entries.flatMap(({ name, domains }) => {
    const index = domains.findIndex((domain) => !isRouted(domain));
    if (index < 0) return [];
    const message = `no SendConnector takes ${domains[index]}: its mail would wait as unreachable`;
    return [warning(name, `spec.domains[${index}]`, message)];
  });
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
