/**
 * Pipeline: one snapshot made ready to run: tables, router, rules, agents. Built beside the old one, swapped whole.
 *
 * A transaction keeps the pipeline it began with; the next one asks again.
 *
 * @module
 */

import type { Clock } from "../lib/clock.ts";
import { createDomainTable, type DomainTable } from "../snapshot/domain-table.ts";
import { sameItems } from "../snapshot/recall.ts";
import type { Secrets, SendConnectorEntry, Snapshot } from "../snapshot/schema.ts";
import {
  type Agent,
  type AgentChain,
  type AgentDeps,
  type AgentTrace,
  builtInAgents,
  createAgentChain,
} from "./agents/mod.ts";
import { createRouter, type Router } from "./categorizer/mod.ts";
import { compileRules, type RuleSet } from "./policy/mod.ts";

export interface Pipeline {
  readonly snapshot: Snapshot;
  readonly secrets: Secrets;
  readonly domains: DomainTable;
  readonly router: Router;
  readonly rules: RuleSet;
  readonly agents: AgentChain;
  /** By namespace/name. */
  readonly sendConnectors: ReadonlyMap<string, SendConnectorEntry>;
}

export interface PipelineDeps {
  readonly clock: Clock;
  readonly resolver: AgentDeps["resolver"];
  readonly log: AgentDeps["log"];
  /** Agents that a MailTransport may name; undefined: the built-in ones. */
  readonly agents?: readonly Agent<unknown>[] | undefined;
  onAgent(trace: AgentTrace): void;
}

/**
 * Builds everything a snapshot needs to run. Throws when it cannot: then the old pipeline stays.
 *
 * `before`: the pipeline in force, built with the same deps. What depends on nothing that changed is taken from it; so
 * agents keep what they know of open sessions.
 */
export function buildPipeline(
  snapshot: Snapshot,
  secrets: Secrets,
  deps: PipelineDeps,
  before?: Pipeline,
): Pipeline {
  const domains = buildDomains(snapshot, before);
  return {
    snapshot,
    secrets,
    domains,
    rules: buildRules(snapshot, domains, before),
    agents: buildAgents(snapshot, { deps, domains, before }),
    ...buildRoutes(snapshot, domains, before),
  };
}

function buildDomains({ acceptedDomains, transport }: Snapshot, before: Pipeline | undefined): DomainTable {
  const old = before?.snapshot;
  const isSame =
    sameItems(old?.acceptedDomains ?? [], acceptedDomains) && old?.transport.hostname === transport.hostname;
  return before !== undefined && isSame
    ? before.domains
    : createDomainTable(acceptedDomains, transport.hostname);
}

function buildRules({ rules }: Snapshot, domains: DomainTable, before: Pipeline | undefined): RuleSet {
  if (before === undefined) return compileRules(rules, { domains });
  const isSame = before.domains === domains && sameItems(before.snapshot.rules, rules);
  return isSame ? before.rules : before.rules.next(rules, domains);
}

function buildRoutes(
  { sendConnectors }: Snapshot,
  domains: DomainTable,
  before: Pipeline | undefined,
): Pick<Pipeline, "router" | "sendConnectors"> {
  const isSame = before?.domains === domains && sameItems(before.snapshot.sendConnectors, sendConnectors);
  if (before !== undefined && isSame) return { router: before.router, sendConnectors: before.sendConnectors };
  return {
    router: createRouter(sendConnectors, domains),
    sendConnectors: new Map(sendConnectors.map((connector) => [connector.name, connector])),
  };
}

function buildAgents(
  snapshot: Snapshot,
  { deps, domains, before }: { deps: PipelineDeps; domains: DomainTable; before: Pipeline | undefined },
): AgentChain {
  const isSame = before?.domains === domains && agentSettings(before.snapshot) === agentSettings(snapshot);
  if (before !== undefined && isSame) return before.agents;
  return createAgentChain(snapshot.transport.agents, {
    registry: deps.agents ?? builtInAgents,
    deps: { now: deps.clock.now, domains, resolver: deps.resolver, log: deps.log },
    clock: deps.clock,
    timeoutMs: snapshot.transport.limits.agentTimeoutMs,
    disabledFor: disabledAgents(snapshot),
    trace: deps.onAgent,
  });
}

/** All of a snapshot that the agent chain is made of, but for the domains; to be compared. */
function agentSettings({ transport, receiveConnectors }: Snapshot): string {
  const disabled = receiveConnectors
    .filter((connector) => connector.disabledAgents.length > 0)
    .map((connector) => [connector.name, connector.disabledAgents]);
  return JSON.stringify([transport.agents, transport.limits.agentTimeoutMs, disabled]);
}

function disabledAgents(snapshot: Snapshot): (connector: string) => ReadonlySet<string> {
  const none: ReadonlySet<string> = new Set();
  const sets = new Map(
    snapshot.receiveConnectors
      .filter((connector) => connector.disabledAgents.length > 0)
      .map((connector) => [connector.name, new Set(connector.disabledAgents)]),
  );
  return (connector) => sets.get(connector) ?? none;
}
