/**
 * PutInForce: one configuration becomes the one in force: pipeline built, sockets bound, both swapped at once, waiting mail woken.
 *
 * Order matters: whatever can fail comes before the swap. Where a refusal is heard, a socket that cannot be bound or a
 * certificate that does not load refuses the whole; else it is a diagnostic, and the rest is in force.
 *
 * @module
 */
import type { Diagnostic } from "../lib/diagnostics.ts";
import type { Metrics } from "../lib/metrics.ts";
import { parseNextHopKey } from "../mail/next-hop.ts";
import { formatReply } from "../mail/reply.ts";
import type { SendConnectorEntry } from "../snapshot/schema.ts";
import type { AgentTrace } from "./agents/mod.ts";
import { type Configuration, RefusedError } from "./configuration-source.ts";
import type { Delivery } from "./delivery/mod.ts";
import { type Dispatcher, leadsTo } from "./dispatch.ts";
import { buildPipeline, type Pipeline, type PipelineDeps } from "./pipeline.ts";
import type { Queue } from "./queue/mod.ts";
import type { SmtpService } from "./smtp/mod.ts";
import type { Tracking } from "./tracking.ts";

export interface PutInForceDeps {
  readonly pipelineDeps: PipelineDeps;
  readonly smtp: SmtpService;
  readonly queue: Queue;
  readonly delivery: Delivery;
  /** A configuration is in force whole or not at all. */
  readonly wholly: boolean;
  dispatcher(): Dispatcher | undefined;
  inForce(): Pipeline | undefined;
  swap(pipeline: Pipeline): void;
}

/** Faults that refuse the whole, where a refusal is heard: of what is there and does not work. */
const REFUSED = new Set(["BindingFailed", "InvalidCertificate"]);

/** Throws when it cannot be put in force; then nothing has changed. */
export async function putInForce(
  next: Configuration,
  before: Configuration | undefined,
  deps: PutInForceDeps,
): Promise<readonly Diagnostic[]> {
  const pipeline = buildPipeline(next.snapshot, next.secrets, deps.pipelineDeps, deps.inForce());
  const prepared = await deps.smtp.prepare({ ...next, domains: pipeline.domains });
  const refused = deps.wholly ? prepared.diagnostics.filter(({ reason }) => REFUSED.has(reason)) : [];
  if (refused.length > 0) {
    await prepared.drop();
    const objects = [...new Set(refused.map(({ object }) => object))];
    const words = refused.map(({ object, path, message }) => `${object} ${path}: ${message}`);
    throw new RefusedError(words.join("; "), { objects });
  }
  deps.swap(pipeline);
  prepared.take();
  // What waits is woken by its own timers too: a queue that cannot write now does not undo the change.
  await wakeWaiting(next, before, deps).catch((cause: unknown) => {
    deps.pipelineDeps.log.warn(
      { cause: String(cause) },
      "waiting mail not woken, it is tried at its own time",
    );
  });
  return prepared.diagnostics;
}

/** Unreachable mail is routed again; next hops whose connector or its Secrets changed are tried now. */
async function wakeWaiting(
  next: Configuration,
  before: Configuration | undefined,
  deps: PutInForceDeps,
): Promise<void> {
  const { queue, delivery } = deps;
  await queue.retry({ queue: "Unreachable" }, { resubmit: true });
  if (before === undefined) return;
  const old = connectorTexts(before);
  const now = connectorTexts(next);
  const isChanged = (name: string) => old.get(name) !== now.get(name);
  if (![...old.keys(), ...now.keys()].some(isChanged)) return;
  const connectors = new Map(next.snapshot.sendConnectors.map((connector) => [connector.name, connector]));
  for (const row of await queue.summary()) {
    const hop = parseNextHopKey(row.nextHop);
    if (row.queue !== "Delivery" || !isChanged(hop.connector)) continue;
    delivery.reset(row.nextHop);
    const resubmit = !leadsTo(connectors.get(hop.connector), hop);
    await queue.retry({ queue: "Delivery", nextHop: row.nextHop }, { resubmit });
    deps.dispatcher()?.wake(row.nextHop);
  }
}

/** All that a delivery through each connector depends on, to be compared. Held for the moment of the change only. */
function connectorTexts({ snapshot, secrets }: Configuration): ReadonlyMap<string, string> {
  const text = (connector: SendConnectorEntry) => {
    const { tls, auth } = connector;
    const names = [tls.ca, tls.clientCertificate, auth?.secret];
    return JSON.stringify([connector, names.map((name) => name && secrets.get(name))]);
  };
  return new Map(snapshot.sendConnectors.map((connector) => [connector.name, text(connector)]));
}

/** Agents' runs as metrics; verdicts on a message as AGENTINFO. */
export function onAgentTrace(metrics: Metrics, tracking: Tracking): (trace: AgentTrace) => void {
  return (trace) => {
    const { agent, event, verdict, durationMs } = trace;
    metrics.agentRuns.inc({ agent, event, verdict: verdict?.action ?? "pass" });
    metrics.agentSeconds.observe({ agent, event }, durationMs / 1000);
    if (verdict === undefined) return;
    const said =
      "reply" in verdict
        ? formatReply(verdict.reply)
        : "reason" in verdict
          ? verdict.reason
          : `tarpit ${verdict.delayMs} ms`;
    tracking.track({
      event: "AGENTINFO",
      source: "AGENT",
      id: trace.messageId,
      // Before MAIL there is no transaction: the session's id ties its events together.
      networkMessageId: trace.networkMessageId || trace.sessionId,
      messageId: "",
      sender: "",
      recipients: [],
      agent,
      agentEvent: event,
      verdict: verdict.action,
      text: said,
    });
  };
}
