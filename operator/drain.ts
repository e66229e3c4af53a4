/**
 * Drain: how many replicas the StatefulSet may have now, and which pods shall give away their mail before they go. Pure.
 *
 * The highest ordinals go, one after the other from the top, each only when nothing that it was given can be lost with it.
 * A pod beyond the replicas whose queue still holds mail brings its replica back, so that the mail leaves.
 * docs/decisions/0091.
 *
 * @module
 */
import { ordinalOf, podName } from "./labels.ts";
import type { DrainDecision, DrainInput, DrainState, PodFacts } from "./types.ts";

export function decideDrain({ deleting, wanted, present, pods, transport }: DrainInput): DrainDecision {
  const goal = deleting ? 0 : wanted;
  const byOrdinal = new Map(pods.map((pod) => [ordinalOf(transport, pod.name), pod]));
  const mayGo = (ordinal: number): boolean => {
    const pod = byOrdinal.get(ordinal);
    const isReplica = ordinal < (present ?? 0);
    // Told first: a pod that comes up between two looks must not take mail that nobody waits for.
    if (isReplica && pod?.drain !== true) return false;
    return pod === undefined || holdsNothing(pod, isReplica);
  };
  let kept = Math.max(present ?? 0, 1 + Math.max(-1, ...[...byOrdinal.keys()].map((one) => one ?? -1)));
  while (kept > goal && mayGo(kept - 1)) kept -= 1;
  const replicas = Math.max(kept, goal);
  const leaving = range(goal, kept).filter((ordinal) => !mayGo(ordinal));
  return {
    replicas,
    pods: new Map(range(0, replicas).map((ordinal) => [podName(transport, ordinal), ordinal >= goal])),
    state: drainState(
      deleting,
      leaving.map((ordinal) => describe(podName(transport, ordinal), byOrdinal.get(ordinal))),
    ),
    finished: deleting && replicas === 0,
  };
}

function holdsNothing({ exists, ready, status }: PodFacts, isReplica: boolean): boolean {
  // Never ready and never heard: it has not listened, so it has taken no mail.
  if (status === undefined) return !exists || !ready;
  if (status.drained) return true;
  // A replica whose pod is away comes back: its last word may be older than its last message.
  return (
    !exists && !isReplica && status.queue !== undefined && status.queue.messages + status.queue.setAside === 0
  );
}

type Leaving = Extract<DrainState, { phase: "Draining" }>["pods"][number];

function describe(name: string, pod: PodFacts | undefined): Leaving {
  return { name, messages: pod?.status?.queue?.messages };
}

function drainState(deleting: boolean, pods: readonly Leaving[]): DrainState {
  if (pods.length === 0) return { phase: "None" };
  return { phase: "Draining", cause: deleting ? "Deleting" : "ScaleDown", pods };
}

/** Whole numbers from `first` up to, without, `end`. */
function range(first: number, end: number): number[] {
  return Array.from({ length: Math.max(0, end - first) }, (_, index) => first + index);
}
