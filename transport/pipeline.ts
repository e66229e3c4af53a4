/**
 * Pipeline: one snapshot made ready to run: tables, router, rules, agents. Built beside the old one, swapped whole.
 *
 * A transaction keeps the pipeline it began with; the next one asks again.
 *
 * @module
 */

import type { Clock } from "../lib/clock.ts";
import { createDomainTable, type DomainTable } from "../snapshot/domain-table.ts";
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

/** Builds everything a snapshot needs to run. Throws when it cannot: then the old pipeline stays. */
export function buildPipeline(snapshot: Snapshot, secrets: Secrets, deps: PipelineDeps): Pipeline {
  const domains = createDomainTable(snapshot.acceptedDomains, snapshot.transport.hostname);
  const agentDeps: AgentDeps = { now: deps.clock.now, domains, resolver: deps.resolver, log: deps.log };
  return {
    snapshot,
    secrets,
    domains,
    router: createRouter(snapshot.sendConnectors, domains),
    rules: compileRules(snapshot.rules, { domains }),
    agents: createAgentChain(snapshot.transport.agents, {
      registry: deps.agents ?? builtInAgents,
      deps: agentDeps,
      clock: deps.clock,
      timeoutMs: snapshot.transport.limits.agentTimeoutMs,
      disabledFor: disabledAgents(snapshot),
      trace: deps.onAgent,
    }),
    sendConnectors: new Map(snapshot.sendConnectors.map((connector) => [connector.name, connector])),
  };
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
