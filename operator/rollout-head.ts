/** What the head says next: a revision enforced, one taken back; and what pods say of a revision. Pure. */
import { type Revision, sameRevision, type TransportSnapshotSpec } from "../crds/mod.ts";
import type { PodFacts, Target } from "./types.ts";

const MAX_HISTORY = 5;

type Refused = NonNullable<TransportSnapshotSpec["refused"]>;
type Numbered = Target & { readonly revision: number };
type Earlier = TransportSnapshotSpec["history"][number];

/** Counts for a rollout: a pod that drains has no say any more. */
export function mayServe({ ready, drain }: PodFacts): boolean {
  return ready && !drain;
}

export function servesNow({ status }: PodFacts, revision: Target): boolean {
  return status?.snapshot !== undefined && sameRevision(status.snapshot, revision);
}

/** The first pod, by name, that refuses this content. A pod that is not ready counts: it may be so because it refuses. */
export function refusalOf(
  revision: Target,
  pods: readonly PodFacts[],
): Pick<Refused, "pod" | "message" | "objects"> | undefined {
  const refusing = pods
    .filter(({ exists, drain }) => exists && !drain)
    .filter(({ status }) => status?.refused !== undefined && sameRevision(status.refused, revision))
    .sort((a, b) => (a.name < b.name ? -1 : 1))[0];
  const refusal = refusing?.status?.refused;
  if (refusing === undefined || refusal === undefined) return undefined;
  return { pod: refusing.name, message: refusal.message, objects: refusal.objects };
}

/** One more than any that the head knows. */
export function nextRevision({ current, canary, refused, history }: TransportSnapshotSpec): number {
  const seen = [current, canary, refused, ...history].map((one) => one?.revision ?? 0);
  return 1 + Math.max(...seen);
}

/** `current` for every pod; a trial ends with it. */
export function enforce(
  head: TransportSnapshotSpec,
  current: Revision,
  pods: readonly PodFacts[],
): TransportSnapshotSpec {
  const { revision, digest } = head.current;
  const { refused } = head;
  const earlier = [{ revision, digest }, ...head.history];
  return {
    formatVersion: head.formatVersion,
    current: plain(current),
    ...(refused && { refused }),
    history: trim(
      earlier.filter((one) => one.digest !== current.digest),
      pods,
    ),
  };
}

/** Back to what a pod serves, or the newest earlier revision; undefined: there is none. */
export function stepBack(
  head: TransportSnapshotSpec,
  refused: Refused,
  pods: readonly PodFacts[],
): TransportSnapshotSpec | undefined {
  const { current, history } = head;
  const others = history.filter(({ digest }) => digest !== current.digest);
  const back = others.find(({ digest }) => isServed(digest, pods)) ?? others[0];
  if (back === undefined) return undefined;
  return {
    formatVersion: head.formatVersion,
    current: plain({ ...back, keys: current.keys }),
    refused,
    history: others.filter((one) => one !== back),
  };
}

export function withoutCanary(head: TransportSnapshotSpec): TransportSnapshotSpec {
  if (head.canary === undefined) return head;
  const { canary: _, ...rest } = head;
  return rest;
}

/** A Revision without what a canary or a refusal adds to it. */
export function plain({ revision, digest, keys }: Numbered): Revision {
  return { revision, digest, ...(keys === undefined ? {} : { keys }) };
}

/** Newest first, each digest once; what a pod serves outlasts what none does. */
function trim(history: readonly Earlier[], pods: readonly PodFacts[]): Earlier[] {
  const seen = new Set<string>();
  const kept = history.filter(({ digest }) => !seen.has(digest) && seen.add(digest));
  while (kept.length > MAX_HISTORY) {
    const unserved = kept.findLastIndex(({ digest }) => !isServed(digest, pods));
    kept.splice(unserved < 0 ? kept.length - 1 : unserved, 1);
  }
  return kept;
}

function isServed(digest: string, pods: readonly PodFacts[]): boolean {
  return pods.some(({ status }) => status?.snapshot?.digest === digest);
}
