/** Status of a MailTransport: conditions, the revision in force, what the queues hold. Pure. */
import { CONDITION, REASON } from "../crds/mod.ts";
import { mayServe } from "./rollout-head.ts";
import {
  fails,
  holds,
  makeConditions,
  pends,
  summarize,
  unlessEqual,
  type Verdict,
} from "./status-condition.ts";
import { judgeDiagnostics } from "./status-diagnostics.ts";
import type { PodFacts, RolloutState, TransportFacts, TransportStatus } from "./types.ts";

export function transportStatus(facts: TransportFacts): TransportStatus {
  const { object, now, workload, drain } = facts;
  const generation = object.metadata.generation ?? 0;
  const said = [...object.faults, ...facts.diagnostics].map((diagnostic) => ({
    diagnostic,
    transport: undefined,
  }));
  const { accepted, resolvedRefs, partiallyInvalid } = judgeDiagnostics(said, 1);
  const programmed = programmedBy(facts.rollout, wantedReplicas(facts));
  const ready = summarize([
    accepted,
    resolvedRefs,
    applied(facts.applyFaults),
    programmed,
    replicasReady(facts),
    stays(facts),
  ]);
  const draining = drainVerdict(facts);
  const conditions = makeConditions(
    [
      [CONDITION.accepted, accepted],
      [CONDITION.resolvedRefs, resolvedRefs],
      [CONDITION.programmed, programmed],
      [CONDITION.ready, ready],
      [CONDITION.partiallyInvalid, partiallyInvalid],
      [CONDITION.draining, draining],
      [CONDITION.reconciling, reconciling(ready, drain.phase === "Draining")],
      [CONDITION.stalled, stalled(ready)],
    ],
    { generation, before: object.status?.conditions, now },
  );
  return unlessEqual<TransportStatus>(object.status, {
    observedGeneration: generation,
    conditions,
    ...workload,
    ...(facts.snapshot && { snapshot: { ...facts.snapshot, acknowledged: acknowledged(facts) } }),
    ...queueOf(facts.pods, now),
  });
}

function programmedBy(rollout: RolloutState, wanted: number): Verdict {
  switch (rollout.phase) {
    case "Nothing":
      return pends(REASON.pending, "Nothing was compiled yet");
    case "Canary":
      return pends(REASON.awaitingAck, `Revision ${rollout.revision} is on trial in ${rollout.pod}`);
    case "Waiting":
      if (rollout.pods.length === 0)
        return pends(REASON.progressing, "The newest revision is not written yet");
      return pends(
        REASON.awaitingAck,
        `${rollout.pods.join(", ")} has not acknowledged revision ${rollout.revision}`,
      );
    case "NoPods":
      if (wanted === 0) return fails(REASON.noPods, "spec.replicas is 0");
      return pends(REASON.noPods, `No pod is ready to serve revision ${rollout.revision}`);
    case "Done":
      return holds(REASON.programmed);
    case "Refused": {
      const { pod, revision, message } = rollout.refused;
      const stays = revision === rollout.revision ? "" : `; revision ${rollout.revision} stays in force`;
      return fails(REASON.nacked, `${pod} refused revision ${revision}: ${message}${stays}`);
    }
    case "Pinned":
      return fails(REASON.pinned, pinnedText(rollout));
  }
}

function pinnedText({ revision, wanted }: Extract<RolloutState, { phase: "Pinned" }>): string {
  if (revision !== undefined) return `spec.rollbackTo: holds revision ${revision}; take it out to go on`;
  return `spec.rollbackTo: there is no revision ${wanted} any more; take it out, or name one of the TransportSnapshot's history`;
}

function applied(faults: readonly string[]): Verdict {
  return faults.length === 0 ? holds(REASON.accepted) : fails(REASON.applyFailed, faults.join("; "));
}

/** 0 while the spec cannot be read: then Accepted says so. */
function wantedReplicas({ object: { resource } }: TransportFacts): number {
  return resource?.kind === "MailTransport" ? resource.spec.replicas : 0;
}

function replicasReady(facts: TransportFacts): Verdict {
  const wanted = wantedReplicas(facts);
  const ready = facts.workload?.readyReplicas ?? 0;
  if (ready >= wanted) return holds(REASON.ready);
  return pends(REASON.progressing, `${ready} of ${wanted} pods are ready`);
}

/** A transport that is being deleted gets ready no more. */
function stays({ object, drain }: TransportFacts): Verdict {
  const isLeaving = object.metadata.deletionTimestamp !== undefined || isDeleting(drain);
  return isLeaving ? fails(REASON.draining, "It is being deleted") : holds(REASON.ready);
}

function isDeleting(drain: TransportFacts["drain"]): boolean {
  return drain.phase === "Draining" && drain.cause === "Deleting";
}

function drainVerdict({ drain, pods }: TransportFacts): Verdict {
  if (drain.phase === "None") return fails(REASON.draining);
  const texts = drain.pods.map(({ name }) => {
    const queue = pods.find((pod) => pod.name === name)?.status?.queue;
    if (queue === undefined) return `${name} has not said what its queue holds`;
    const setAside =
      queue.setAside === 0 ? "" : `, ${rounded(queue.setAside)} set aside: see postroom queue list`;
    return `${name} holds ${rounded(queue.messages)} ${queue.messages === 1 ? "message" : "messages"}${setAside}`;
  });
  return holds(REASON.draining, texts.join("; "));
}

function reconciling(ready: Verdict, draining: boolean): Verdict {
  if (ready.status === "Unknown") return holds(REASON.progressing, ready.message);
  return draining ? holds(REASON.draining) : fails(REASON.ready);
}

/** kstatus: it will not heal without an edit. A deletion heals by itself. */
function stalled(ready: Verdict): Verdict {
  const isStuck =
    ready.status === "False" && ready.reason !== REASON.draining && ready.reason !== REASON.noPods;
  return isStuck ? holds(ready.reason, ready.message) : fails(REASON.ready);
}

/** "2/3": ready pods that serve the revision in force, of ready pods. */
function acknowledged({ pods, snapshot }: TransportFacts): string {
  const ready = pods.filter(mayServe);
  const serving = ready.filter(({ status }) => status?.snapshot?.digest === snapshot?.digest);
  return `${serving.length}/${ready.length}`;
}

/** Mail younger than this is on its way, and its time would be a write for every message. */
const OLD_MS = 300_000;

function queueOf(pods: readonly PodFacts[], now: string): Pick<TransportStatus, "queue"> {
  const queues = pods.flatMap(({ status }) => status?.queue ?? []);
  if (queues.length === 0) return {};
  const oldest = queues.map(({ oldestMessageTime }) => oldestMessageTime ?? now).sort(byTime)[0] ?? now;
  const sum = (counts: readonly number[]) => rounded(counts.reduce((total, count) => total + count, 0));
  return {
    queue: {
      messages: sum(queues.map(({ messages }) => messages)),
      setAside: sum(queues.map(({ setAside }) => setAside)),
      ...(Date.parse(now) - Date.parse(oldest) >= OLD_MS && { oldestMessageTime: oldest }),
    },
  };
}

function byTime(a: string, b: string): number {
  return Date.parse(a) - Date.parse(b);
}

/** Two digits that count: a busy queue is not a write for each message. */
function rounded(count: number): number {
  if (count < 100) return count;
  const unit = 10 ** (Math.floor(Math.log10(count)) - 1);
  return Math.round(count / unit) * unit;
}
