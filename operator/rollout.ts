/**
 * Rollout: which revision the head names next, from what it names now and what the pods say. Pure: a second operator decides
 * the same.
 *
 * A target is tried in one pod first when two are ready; the others take it once that pod has it in force. What a pod refused
 * last is not offered again. Nothing that a pod serves is forgotten. docs/decisions/0090.
 *
 * @module
 */
import { sameRevision, type TransportSnapshotSpec } from "../crds/mod.ts";
import { continueCanary, offerCanary } from "./rollout-canary.ts";
import {
  enforce,
  mayServe,
  nextRevision,
  plain,
  refusalOf,
  servesNow,
  stepBack,
  withoutCanary,
} from "./rollout-head.ts";
import { refusedState, stateOf } from "./rollout-state.ts";
import type { PodFacts, RolloutDecision, RolloutInput, RolloutState, Target } from "./types.ts";

export function decideRollout(input: RolloutInput): RolloutDecision {
  const { head, target, pods, rollbackTo } = input;
  if (head === undefined) return target === undefined ? NOTHING : firstHead(target, input);
  if (rollbackTo !== undefined) return pin(head, rollbackTo, input);
  if (target === undefined) return { head, state: stateOf(head, pods) };
  if (sameRevision(target, head.current)) return keepCurrent(head, pods);
  if (sameRevision(target, head.refused)) return stayRefused(head);
  const { canary } = head;
  if (canary !== undefined && sameRevision(target, canary)) return continueCanary(head, canary, input);
  if (pods.filter(mayServe).length >= 2) return offerCanary(head, target, input);
  const next = enforce(head, plain({ revision: nextRevision(head), ...target }), pods);
  return { head: next, state: stateOf(next, pods) };
}

const NOTHING: RolloutDecision = { head: undefined, state: { phase: "Nothing" } };

function firstHead(target: Target, { pods }: RolloutInput): RolloutDecision {
  const head: TransportSnapshotSpec = {
    formatVersion: 1,
    current: plain({ revision: 1, ...target }),
    history: [],
  };
  return { head, state: stateOf(head, pods) };
}

/** An emergency brake: every pod at once. The revision keeps its number, the keys are today's. */
function pin(head: TransportSnapshotSpec, wanted: number, { target, pods }: RolloutInput): RolloutDecision {
  const found = [head.current, ...head.history].find(({ revision }) => revision === wanted);
  if (found === undefined) return { head, state: { phase: "Pinned", revision: undefined, wanted } };
  const { keys } = target ?? head.current;
  const pinned = plain({ revision: found.revision, digest: found.digest, keys });
  const state: RolloutState = { phase: "Pinned", revision: wanted, wanted };
  if (sameRevision(pinned, head.current)) return { head: withoutCanary(head), state };
  return { head: enforce(head, pinned, pods), state };
}

/** The target is in force, or on its way to every pod. */
function keepCurrent(head: TransportSnapshotSpec, pods: readonly PodFacts[]): RolloutDecision {
  const kept = withoutCanary(head);
  const refusal = refusalOf(kept.current, pods);
  const isServed = pods.some((pod) => servesNow(pod, kept.current));
  if (refusal === undefined || isServed) return { head: kept, state: stateOf(kept, pods) };
  const back = stepBack(kept, { ...kept.current, ...refusal }, pods);
  return back === undefined ? { head: kept, state: stateOf(kept, pods) } : stayRefused(back);
}

function stayRefused(head: TransportSnapshotSpec): RolloutDecision {
  const kept = withoutCanary(head);
  return { head: kept, state: refusedState(kept) };
}
