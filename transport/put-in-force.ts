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
import { type Configuration, PassingError, RefusedError } from "./configuration-source.ts";
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
  const fault = deps.wholly ? faultOf(prepared.diagnostics) : undefined;
  if (fault !== undefined) {
    await prepared.drop();
    throw fault;
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

/** Why it cannot be in force whole. A machine that lacks something now refuses nothing for good. */
function faultOf(diagnostics: readonly Diagnostic[]): Error | undefined {
  const wordsOf = (some: readonly Diagnostic[]) =>
    some.map(({ object, path, message }) => `${object} ${path}: ${message}`).join("; ");
  const lacking = diagnostics.filter(({ reason }) => reason === "OutOfResources");
  if (lacking.length > 0) return new PassingError(wordsOf(lacking));
  const refused = diagnostics.filter(({ reason }) => REFUSED.has(reason));
  const objects = [...new Set(refused.map(({ object }) => object))];
  return refused.length > 0 ? new RefusedError(wordsOf(refused), { objects }) : undefined;
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
  const changed = changedConnectors(before, next);
  if (changed.size === 0) return;
  const connectors = byName(next);
  for (const row of await queue.summary()) {
    const hop = parseNextHopKey(row.nextHop);
    if (row.queue !== "Delivery" || !changed.has(hop.connector)) continue;
    delivery.reset(row.nextHop);
    const resubmit = !leadsTo(connectors.get(hop.connector), hop);
    await queue.retry({ queue: "Delivery", nextHop: row.nextHop }, { resubmit });
    deps.dispatcher()?.wake(row.nextHop);
  }
}

/** Names of those that came, went, or lead elsewhere now. */
function changedConnectors(before: Configuration, next: Configuration): ReadonlySet<string> {
  const [old, now] = [byName(before), byName(next)];
  const isSame = (name: string) => {
    const [a, b] = [old.get(name), now.get(name)];
    return a !== undefined && b !== undefined && isDeeplyEqual(dependsOn(a, before), dependsOn(b, next));
  };
  return new Set([...old.keys(), ...now.keys()].filter((name) => !isSame(name)));
}

function byName({ snapshot }: Configuration): ReadonlyMap<string, SendConnectorEntry> {
  return new Map(snapshot.sendConnectors.map((connector) => [connector.name, connector]));
}

/** All that a delivery through a connector depends on. */
function dependsOn(connector: SendConnectorEntry, { secrets }: Configuration): readonly unknown[] {
  const { tls, auth } = connector;
  const names = [tls.ca, tls.clientCertificate, auth?.secret];
  return [connector, ...names.map((name) => name && secrets.get(name))];
}

/** What did not change is mostly the very same object, and is not looked into. */
function isDeeplyEqual(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.every((one, at) => one === b[at] || JSON.stringify(one) === JSON.stringify(b[at]));
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
