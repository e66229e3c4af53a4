/** How far a head has come, by what the pods say. Pure. */
import type { TransportSnapshotSpec } from "../crds/mod.ts";
import { mayServe, refusalOf, servesNow } from "./rollout-head.ts";
import type { PodFacts, RolloutState } from "./types.ts";

export function stateOf(head: TransportSnapshotSpec, pods: readonly PodFacts[]): RolloutState {
  const { current, canary } = head;
  const { revision } = current;
  if (canary !== undefined) return { phase: "Canary", revision: canary.revision, pod: canary.pod };
  const refusal = refusalOf(current, pods);
  if (refusal !== undefined) return { phase: "Refused", revision, refused: { ...current, ...refusal } };
  const ready = pods.filter(mayServe);
  if (ready.length === 0) return { phase: "NoPods", revision };
  const waiting = ready.filter((pod) => !servesNow(pod, current)).map(({ name }) => name);
  return waiting.length === 0 ? { phase: "Done", revision } : { phase: "Waiting", revision, pods: waiting };
}

/** The state of a head whose target was refused. */
export function refusedState({ current, refused }: TransportSnapshotSpec): RolloutState {
  if (refused === undefined) return { phase: "Nothing" };
  return { phase: "Refused", revision: current.revision, refused };
}
