/** Reports on one MailTransport: its status, metrics and, when something turned, an event. */
import { REASON } from "../crds/mod.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import type { Snapshot } from "../snapshot/mod.ts";
import { type Compilation, nameOf } from "./compile.ts";
import { selectorText } from "./labels.ts";
import type { TransportMemory } from "./memory.ts";
import type { OperatorDeps } from "./own.ts";
import { transportStatus } from "./status.ts";
import type { DrainDecision, HeldObject, RolloutDecision, RolloutState, TransportFacts } from "./types.ts";

export interface TransportReport {
  readonly key: string;
  readonly object: HeldObject;
  readonly memory: TransportMemory;
  readonly compiled: Compilation | undefined;
  readonly diagnostics: readonly Diagnostic[];
  readonly rollout: RolloutDecision;
  readonly drain: DrainDecision;
  /** Of owned objects. */
  readonly faults: readonly string[];
}

export function reportTransport(report: TransportReport, deps: OperatorDeps): void {
  const { key, object, diagnostics, rollout, drain, faults } = report;
  const { view, clock } = deps;
  const facts: TransportFacts = {
    object,
    diagnostics: ownDiagnostics(object, diagnostics),
    rollout: rollout.state,
    pods: view.pods(key),
    snapshot: snapshotFacts(report, deps),
    workload: workloadFacts(report, deps),
    applyFaults: faults,
    drain: drain.state,
    now: rfc3339(clock.now()),
  };
  const status = transportStatus(facts);
  measure(key, status.snapshot, facts, deps);
  deps.put(object, status);
  tell(report, facts, deps);
}

/** It does exist: why it was not compiled is what its own faults say. */
function ownDiagnostics(object: HeldObject, diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const name = nameOf(object);
  return diagnostics.filter((one) => one.object === name && one.reason !== REASON.transportNotFound);
}

/** Seconds are enough, and what the API server keeps. */
export function rfc3339(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

function snapshotFacts({ key, memory, compiled, rollout }: TransportReport, { view }: OperatorDeps) {
  const snapshot = compiled?.snapshot ?? memory.lastGood;
  if (rollout.head === undefined || snapshot === undefined) return undefined;
  const { revision, digest } = rollout.head.current;
  const parts = memory.chunks.get(digest) ?? new Set<string>();
  const held = view.chunks(key);
  return {
    revision,
    digest,
    bytes: [...parts].reduce((sum, part) => sum + (memory.sizes.get(part) ?? held.get(part)?.bytes ?? 0), 0),
    rejected: rejectedObjects(compiled).size,
    counts: counts(snapshot),
  };
}

function rejectedObjects(compiled: Compilation | undefined): ReadonlySet<string> {
  const rejected = new Set<string>();
  for (const [name, list] of compiled?.diagnostics ?? []) {
    if (list.some(({ severity }) => severity === "error")) rejected.add(name);
  }
  return rejected;
}

function counts({ receiveConnectors, sendConnectors, acceptedDomains, rules }: Snapshot) {
  return {
    receiveConnectors: receiveConnectors.length,
    sendConnectors: sendConnectors.length,
    domains: acceptedDomains.reduce((sum, { domains }) => sum + domains.length, 0),
    transportRules: rules.length,
  };
}

function workloadFacts({ key, object }: TransportReport, { view }: OperatorDeps): TransportFacts["workload"] {
  const live = view.owned("StatefulSet", key);
  if (live === undefined) return undefined;
  const { replicas = 0 } = (live.spec ?? {}) as { replicas?: number };
  return {
    replicas,
    readyReplicas: view.pods(key).filter(({ ready }) => ready).length,
    selector: selectorText(object.metadata.name),
  };
}

function measure(
  transport: string,
  snapshot: ReturnType<typeof transportStatus>["snapshot"],
  { pods }: TransportFacts,
  { metrics }: OperatorDeps,
): void {
  // There from the start: a rise from nothing is none to Prometheus.
  metrics.refusals.inc({ transport }, 0);
  metrics.ready.set({ transport }, pods.filter(({ ready }) => ready).length);
  if (snapshot === undefined) return;
  metrics.revision.set({ transport }, snapshot.revision);
  metrics.acknowledged.set({ transport }, Number.parseInt(snapshot.acknowledged, 10));
  metrics.rejected.set({ transport }, snapshot.rejected);
}

/** An event when something turned, not for each round that finds it so. */
function tell({ key, object, memory }: TransportReport, facts: TransportFacts, deps: OperatorDeps): void {
  const news = newsOf(facts);
  const text = JSON.stringify(news);
  if (text === memory.said) return;
  const isFirst = memory.said === "";
  memory.said = text;
  for (const { type, reason, action, note } of news) {
    if (reason === "SnapshotRefused") deps.metrics.refusals.inc({ transport: key });
    // What was so before this operator began is no news.
    if (isFirst && type === "Normal") continue;
    const { name, namespace = "", uid } = object.metadata;
    const regarding = { apiVersion: "postroom.dev/v1alpha1", kind: "MailTransport", namespace, name, uid };
    deps.events.record({ regarding, type, reason, action, note });
  }
}

interface News {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly action: string;
  readonly note: string;
}

function newsOf({ rollout, drain, applyFaults }: TransportFacts): readonly News[] {
  const news: News[] = applyFaults.map((note) => ({
    type: "Warning",
    reason: "ApplyFailed",
    action: "Apply",
    note,
  }));
  const turn = newsOfRollout(rollout);
  if (turn !== undefined) news.push(turn);
  if (drain.phase === "Draining") {
    const names = drain.pods.map(({ name }) => name).join(", ");
    news.push({
      type: "Normal",
      reason: "Draining",
      action: "Drain",
      note: `${drain.cause}: ${names} deliver what they hold`,
    });
  }
  return news;
}

function newsOfRollout(rollout: RolloutState): News | undefined {
  if (rollout.phase === "Refused") {
    const { revision, pod, message } = rollout.refused;
    const note = `${pod} refused revision ${revision}: ${message}; revision ${rollout.revision} stays`;
    return { type: "Warning", reason: "SnapshotRefused", action: "RollOut", note };
  }
  if (rollout.phase === "Pinned") {
    const note =
      rollout.revision === undefined
        ? `spec.rollbackTo names revision ${rollout.wanted}, which is not kept any more`
        : `Revision ${rollout.revision} is pinned by spec.rollbackTo`;
    return {
      type: rollout.revision === undefined ? "Warning" : "Normal",
      reason: "Pinned",
      action: "RollOut",
      note,
    };
  }
  if (rollout.phase !== "Done") return undefined;
  const note = `Every ready pod serves revision ${rollout.revision}`;
  return { type: "Normal", reason: "SnapshotServed", action: "RollOut", note };
}
