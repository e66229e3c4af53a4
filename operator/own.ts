/** Brings what a MailTransport owns to what it should be: workload, access, TransportPods. One fault stops only its object. */
import type { TransportSnapshotSpec } from "../crds/delivery-kinds.ts";
import type { MailTransport } from "../crds/mod.ts";
import type { MonotonicClock } from "../lib/clock.ts";
import { type Desired, ForeignObjectError } from "../lib/kube/apply.ts";
import { isRetriable, KubeError } from "../lib/kube/errors.ts";
import type { EventRecorder } from "../lib/kube/events.ts";
import type { Logger } from "../lib/log.ts";
import type { Snapshot } from "../snapshot/mod.ts";
import type { Verdict } from "./children.ts";
import { type Cluster, type Home, ownObject } from "./cluster.ts";
import { desiredObjects } from "./desired.ts";
import type { OperatorMetrics } from "./metrics.ts";
import type { SecretWatch } from "./secret-watch.ts";
import type { DrainDecision } from "./types.ts";
import { type ClusterView, OWNED_KINDS, type OwnedKind } from "./view.ts";
import { heldDefaultImage } from "./workload.ts";

/** What the files of a reconciliation are handed. */
export interface OperatorDeps {
  readonly view: ClusterView;
  readonly cluster: Cluster;
  readonly secrets: SecretWatch;
  readonly events: EventRecorder;
  readonly clock: MonotonicClock;
  readonly log: Logger;
  readonly metrics: OperatorMetrics;
  /** Image of transports that name none. */
  readonly image: string;
  /** By namespace/name of the MailTransport; what children are judged by. */
  readonly verdicts: Map<string, Verdict>;
  reportChildren(): void;
}

export interface OwnRequest {
  readonly key: string;
  readonly transport: MailTransport;
  /** What shall be served. */
  readonly snapshot: Snapshot | undefined;
  /** What pods serve now: its ports stay open as long. */
  readonly inForce: Snapshot | undefined;
  readonly drain: DrainDecision;
  readonly keysSecrets: readonly string[];
  readonly home: Home;
  readonly image: string;
}

/** Sentences on what could not be done. Rejects when the API server cannot be asked. */
export async function ownObjects(
  request: OwnRequest,
  { view, cluster }: { view: ClusterView; cluster: Cluster },
): Promise<readonly string[]> {
  const { key, home, drain } = request;
  const live = view.owned("StatefulSet", key);
  // A default that never brought up a pod is not kept: it may be a slip of the pen.
  const held = view.pods(key).some(({ status }) => status !== undefined) ? heldDefaultImage(live) : undefined;
  const desired = desiredObjects({
    transport: request.transport,
    snapshot: request.snapshot,
    inForce: request.inForce,
    replicas: drain.replicas,
    keysSecrets: request.keysSecrets,
    owner: home.owner,
    defaults: { image: held ?? request.image },
    live,
    claims: view.claims(key),
  });
  const faults = [...desired.faults];
  const attempt = async (work: Promise<unknown>) => {
    const fault = await faultOf(work);
    if (fault !== undefined) faults.push(fault);
  };
  for (const { name, size } of desired.growth) await attempt(cluster.growVolume(name, size, home));
  for (const object of desired.objects) {
    const live = view.owned(object.kind as OwnedKind, `${home.namespace}/${object.metadata.name}`);
    await attempt(cluster.apply(object, live, home));
  }
  for (const one of surplus(desired.objects, request, view)) {
    await attempt(cluster.remove(one.kind, one.name, home.namespace));
  }
  await settlePods(request, { view, cluster, attempt });
  return faults;
}

/** Owned objects that should not be any more, such as the Service of a transport that has no port. */
function surplus(objects: readonly Desired[], { key, home }: OwnRequest, view: ClusterView) {
  const wanted = new Set(objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`));
  return OWNED_KINDS.flatMap((kind) =>
    view
      .ownedBy(kind, key)
      .filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === home.owner.uid))
      .filter(({ metadata }) => !wanted.has(`${kind}/${metadata.name}`))
      .map(({ metadata }) => ({ kind, name: metadata.name })),
  );
}

/** One TransportPod for each pod that shall be; those of pods that are gone go. */
async function settlePods(
  { key, home, drain }: OwnRequest,
  {
    view,
    cluster,
    attempt,
  }: { view: ClusterView; cluster: Cluster; attempt(work: Promise<unknown>): Promise<void> },
): Promise<void> {
  const present = new Map(view.transportPods(key).map((one) => [one.metadata.name, one]));
  for (const [name, isDraining] of drain.pods) {
    const before = present.get(name);
    const isOurs = before?.metadata.ownerReferences?.some(({ uid }) => uid === home.owner.uid) === true;
    if (isOurs && before?.drain === isDraining) continue;
    const spec = { transport: home.transport, drain: isDraining };
    await attempt(cluster.apply(ownObject("TransportPod", name, { spec, home }), undefined, home));
  }
  for (const name of present.keys()) {
    if (!drain.pods.has(name)) await attempt(cluster.remove("TransportPod", name, home.namespace));
  }
}

/** A refusal is a fault of this object; no answer is everybody's. */
async function faultOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof ForeignObjectError) return error.message;
    if (error instanceof KubeError && !isRetriable(error)) return error.message;
    throw error;
  }
}

/** Names of the Secrets that a head makes pods read. */
export function keysOf(head: TransportSnapshotSpec | undefined): readonly string[] {
  const names = [head?.current.keys?.secret, head?.canary?.keys?.secret];
  return names.filter((name) => name !== undefined);
}
