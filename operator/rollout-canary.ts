/** The trial of a target in one pod: who is asked, when the next one is, what an answer means. Pure. */
import type { TransportSnapshotSpec } from "../crds/mod.ts";
import {
  enforce,
  mayServe,
  nextRevision,
  plain,
  refusalOf,
  servesNow,
  withoutCanary,
} from "./rollout-head.ts";
import { refusedState, stateOf } from "./rollout-state.ts";
import type { PodFacts, RolloutDecision, RolloutInput, Target } from "./types.ts";

/** A pod that has not answered by then is passed over. */
export const SILENCE_MS = 15_000;
/** When all were asked in vain, the first one's turn comes again after this time: a revision that crashes pods must not crash them all. */
export const ROUND_MS = 300_000;

type Canary = NonNullable<TransportSnapshotSpec["canary"]>;

/** Offers a target to one pod. What the pod had on trial before, and took, counts for all. */
export function offerCanary(
  head: TransportSnapshotSpec,
  target: Target,
  { pods, now }: RolloutInput,
): RolloutDecision {
  const ready = byOrdinal(pods.filter(mayServe));
  const before = head.canary;
  const isProven = before !== undefined && isTaken(before, pods) && refusalOf(before, pods) === undefined;
  const base = isProven ? enforce(head, before, pods) : withoutCanary(head);
  const pod = (ready.find(({ name }) => name === before?.pod) ?? ready[0])?.name;
  if (pod === undefined) return { head, state: stateOf(head, pods) };
  const canary: Canary = {
    ...plain({ revision: nextRevision(head), ...target }),
    pod,
    since: timeText(now),
  };
  return onTrial({ ...base, canary }, pods, SILENCE_MS);
}

/** The target is on trial: promoted, refused, passed on to the next pod, or waited for. */
export function continueCanary(
  head: TransportSnapshotSpec,
  canary: Canary,
  { pods, now }: RolloutInput,
): RolloutDecision {
  const refusal = refusalOf(canary, pods);
  if (refusal !== undefined) {
    const refusing: TransportSnapshotSpec = {
      ...withoutCanary(head),
      refused: { ...plain(canary), ...refusal },
    };
    return { head: refusing, state: refusedState(refusing) };
  }
  const couldServe = pods.filter(({ exists, drain }) => exists && !drain);
  if (isTaken(canary, pods) || couldServe.length < 2) {
    const next = enforce(head, canary, pods);
    return { head: next, state: stateOf(next, pods) };
  }
  const { pod, afterMs } = nextAsked(canary, pods);
  if (pod === undefined) return onTrial(head, pods, undefined);
  const elapsed = Math.abs(now - Date.parse(canary.since));
  if (elapsed < afterMs) return onTrial(head, pods, afterMs - elapsed);
  return onTrial({ ...head, canary: { ...canary, pod, since: timeText(now) } }, pods, SILENCE_MS);
}

/** Whose turn is next, and how long after the present one's began. */
function nextAsked(
  canary: Canary,
  pods: readonly PodFacts[],
): { readonly pod: string | undefined; readonly afterMs: number } {
  const asked = pods.find(({ name }) => name === canary.pod);
  const isGone = asked === undefined || !asked.exists || asked.drain;
  const others = byOrdinal(pods.filter((pod) => mayServe(pod) && pod !== asked));
  const below = others.find(({ name }) => ordinal(name) < ordinal(canary.pod));
  const afterMs = below === undefined ? ROUND_MS : SILENCE_MS;
  return { pod: (below ?? others[0])?.name, afterMs: isGone ? 0 : afterMs };
}

function onTrial(
  head: TransportSnapshotSpec,
  pods: readonly PodFacts[],
  againAfterMs: number | undefined,
): RolloutDecision {
  return { head, state: stateOf(head, pods), ...(againAfterMs === undefined ? {} : { againAfterMs }) };
}

function isTaken(canary: Canary, pods: readonly PodFacts[]): boolean {
  return pods.some((pod) => mayServe(pod) && servesNow(pod, canary));
}

/** Highest first: the pod that goes first when the transport shrinks. */
function byOrdinal(pods: readonly PodFacts[]): readonly PodFacts[] {
  return pods.toSorted((a, b) => ordinal(b.name) - ordinal(a.name));
}

function ordinal(pod: string): number {
  return Number(/-([0-9]+)$/.exec(pod)?.[1] ?? 0);
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
