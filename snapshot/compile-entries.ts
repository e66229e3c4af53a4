/**
 * Entries of the objects of each kind, each made once for as long as its object and what else it depends on are the same.
 *
 * In: the attached objects and the transport. Out: entries, or candidates where two objects may claim the same. Pure.
 */
import {
  type AcceptedDomain,
  type AnyResource,
  objectName,
  qualifiedName,
  type ReceiveConnector,
  type SendConnector,
  type TransportRule,
} from "../crds/mod.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import type { CompileMemory } from "./compile-memory.ts";
import type { Candidate } from "./conflicts.ts";
import { compileReceiveConnector, compileSendConnector } from "./connectors.ts";
import { compileAcceptedDomain } from "./domains.ts";
import { dropped, fallBack, type Held } from "./last-good.ts";
import { HELD, rank } from "./precedence.ts";
import { compileRule, type KnownConnectors, namesConnectors } from "./rules.ts";
import type {
  AcceptedDomainEntry,
  ReceiveConnectorEntry,
  RuleEntry,
  SendConnectorEntry,
  TransportEntry,
} from "./schema.ts";

export function receiveCandidates(
  resources: readonly ReceiveConnector[],
  transport: TransportEntry,
  memory: CompileMemory,
): Candidate<ReceiveConnectorEntry>[] {
  return resources.map((resource) =>
    memory.receive.of(resource, [transport.hostname], () =>
      candidate(resource, memory.steady(objectName(resource), compileReceiveConnector(resource, transport))),
    ),
  );
}

export function sendEntries(
  resources: readonly SendConnector[],
  transport: TransportEntry,
  memory: CompileMemory,
): SendConnectorEntry[] {
  const { hostname, limits } = transport;
  return resources.map((resource) =>
    memory.send.of(resource, [hostname, limits.maxPerDomainOutboundConnections], () =>
      memory.steady(objectName(resource), compileSendConnector(resource, transport)),
    ),
  );
}

export function domainCandidates(
  resources: readonly AcceptedDomain[],
  memory: CompileMemory,
): Candidate<AcceptedDomainEntry>[] {
  return resources.map((resource) =>
    memory.domains.of(resource, [], () =>
      candidate(resource, memory.steady(objectName(resource), compileAcceptedDomain(resource))),
    ),
  );
}

/** A rule that cannot be compiled keeps its previous form: a rule that guards mail must not fail open. */
export function ruleEntries(
  resources: readonly TransportRule[],
  known: KnownConnectors,
  { previous, memory }: { previous: ReadonlyMap<string, object>; memory: CompileMemory },
): Held<RuleEntry> {
  const entries: RuleEntry[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const resource of resources) {
    const compiled = memory.rules.of(resource, namesConnectors(resource) ? [known] : [], () => {
      const result = compileRule(resource, known);
      return result.ok ? { ...result, value: memory.steady(objectName(resource), result.value) } : result;
    });
    diagnostics.push(...compiled.diagnostics);
    if (compiled.ok) {
      entries.push(compiled.value);
      continue;
    }
    const object = objectName(resource);
    // Found under the name of a rule, so it is one.
    const earlier = previous.get(object) as RuleEntry | undefined;
    if (earlier !== undefined) entries.push(earlier);
    diagnostics.push(earlier === undefined ? dropped(object) : fallBack(object));
  }
  return { entries, diagnostics };
}

export function heldCandidates<Entry extends { readonly name: string }>(
  entries: readonly Entry[],
  memory: CompileMemory,
): Candidate<Entry>[] {
  return entries.map((entry) => {
    const make = () => ({ entry, rank: { name: entry.name, createdAt: HELD } });
    // Remembered under the entry itself, so it is of its type.
    return memory.held.of(entry, [], make) as Candidate<Entry>;
  });
}

function candidate<Entry>(resource: AnyResource, entry: Entry): Candidate<Entry> {
  return { entry, rank: rank(qualifiedName(resource), resource.metadata.creationTimestamp) };
}
