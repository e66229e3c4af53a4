/**
 * PutInForce: one configuration becomes the one in force: pipeline built, reference swapped, sockets diffed, waiting mail woken.
 *
 * Order matters: what can fail as a whole comes before the swap; a socket or certificate that fails afterwards is a diagnostic.
 *
 * @module
 */
import type { Diagnostic } from "../lib/diagnostics.ts";
import type { Metrics } from "../lib/metrics.ts";
import { parseNextHopKey } from "../mail/next-hop.ts";
import { formatReply } from "../mail/reply.ts";
import type { SendConnectorEntry } from "../snapshot/schema.ts";
import type { AgentTrace } from "./agents/mod.ts";
import type { Delivery } from "./delivery/mod.ts";
import { type Dispatcher, leadsTo } from "./dispatch.ts";
import { buildPipeline, type Pipeline, type PipelineDeps } from "./pipeline.ts";
import type { Queue } from "./queue/mod.ts";
import type { Configuration } from "./reload.ts";
import type { SmtpService } from "./smtp/mod.ts";
import type { Tracking } from "./tracking.ts";

export interface PutInForceDeps {
  readonly pipelineDeps: PipelineDeps;
  readonly smtp: SmtpService;
  readonly queue: Queue;
  readonly delivery: Delivery;
  dispatcher(): Dispatcher | undefined;
  swap(pipeline: Pipeline): void;
}

/** Throws when the pipeline cannot be built; then nothing has changed. */
export async function putInForce(
  next: Configuration,
  before: Configuration | undefined,
  deps: PutInForceDeps,
): Promise<readonly Diagnostic[]> {
  const pipeline = buildPipeline(next.snapshot, next.secrets, deps.pipelineDeps);
  deps.swap(pipeline);
  const diagnostics = await deps.smtp.apply({ ...next, domains: pipeline.domains });
  // What waits is woken by its own timers too: a queue that cannot write now does not undo the change.
  await wakeWaiting(next, before, deps).catch((cause: unknown) => {
    deps.pipelineDeps.log.warn(
      { cause: String(cause) },
      "waiting mail not woken, it is tried at its own time",
    );
  });
  return [...diagnostics, ...ignored(next, before)];
}

/** What is accepted but means nothing to one process, said when it changes. */
function ignored({ snapshot }: Configuration, before: Configuration | undefined): Diagnostic[] {
  const { name, replicas } = snapshot.transport;
  if (replicas === 1 || before?.snapshot.transport.replicas === replicas) return [];
  const message = `spec.replicas is ${replicas}, but a standalone transport is always one process`;
  const object = `MailTransport/${name}`;
  return [{ object, path: "spec.replicas", reason: "Standalone", message, severity: "warning" }];
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
