/** Brings what a MailTransport owns to what it should be: workload, access, TransportPods. One fault stops only its object. */
import type { TransportSnapshotSpec } from "../crds/delivery-kinds.ts";
import type { MailTransport } from "../crds/mod.ts";
import type { MonotonicClock } from "../lib/clock.ts";
import type { EventRecorder } from "../lib/kube/events.ts";
import type { Logger } from "../lib/log.ts";
import type { Snapshot } from "../snapshot/mod.ts";
import { accessObjects } from "./access.ts";
import type { Attempts } from "./attempts.ts";
import type { Verdict } from "./children.ts";
import { type Cluster, type Home, ownObject } from "./cluster.ts";
import { desiredObjects } from "./desired.ts";
import type { Desired, DesiredObject } from "./desired-types.ts";
import { isOwnedBy, labelsOf, ordinalOf } from "./labels.ts";
import type { OperatorMetrics } from "./metrics.ts";
import type { SecretWatch } from "./secret-watch.ts";
import type { DrainDecision, HeldObject, ResourceStatus } from "./types.ts";
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
  /** Writes a status, later: what it is about must not wait for it. The newest one wins. */
  put(object: HeldObject, status: ResourceStatus): void;
  /** Has children told what became of them, soon. */
  reportChildren(): void;
}

export interface OwnRequest {
  readonly key: string;
  /** undefined: it cannot be read. Then its workload stays as it is; only access and drain follow. */
  readonly transport: MailTransport | undefined;
  /** What shall be served. */
  readonly snapshot: Snapshot | undefined;
  /** What pods serve now: its ports stay open as long. */
  readonly inForce: Snapshot | undefined;
  readonly drain: DrainDecision;
  readonly keysSecrets: readonly string[];
  readonly home: Home;
  readonly image: string;
}

interface OwnDeps {
  readonly view: ClusterView;
  readonly cluster: Cluster;
  readonly attempts: Attempts;
}

/** Sentences on what cannot be had as asked for. */
export async function ownObjects(request: OwnRequest, deps: OwnDeps): Promise<readonly string[]> {
  const { home, transport } = request;
  const { view, cluster, attempts } = deps;
  const desired = transport === undefined ? onlyAccess(request) : desiredOf(request, transport, view);
  for (const { name, size } of desired.growth) await attempts.of(cluster.growVolume(name, size, home));
  for (const object of desired.objects) {
    const live = view.owned(object.kind as OwnedKind, `${home.namespace}/${object.metadata.name}`);
    await attempts.of(cluster.apply(object, live, home));
  }
  for (const one of transport === undefined ? [] : surplus(desired.objects, request, view)) {
    await attempts.of(cluster.remove(one.kind, one.name, home.namespace));
  }
  await settlePods(request, deps);
  return desired.faults;
}

function desiredOf(request: OwnRequest, transport: MailTransport, view: ClusterView): Desired {
  const { key } = request;
  const live = view.owned("StatefulSet", key);
  // A default that never brought up a pod is not kept: it may be a slip of the pen.
  const held = view.pods(key).some(({ status }) => status !== undefined) ? heldDefaultImage(live) : undefined;
  return desiredObjects({
    transport,
    snapshot: request.snapshot,
    inForce: request.inForce,
    replicas: request.drain.replicas,
    keysSecrets: request.keysSecrets,
    owner: request.home.owner,
    defaults: { image: held ?? request.image },
    live,
    claims: view.claims(key),
  });
}

/** Keys may change and pods must drain, whatever is wrong with the spec. */
function onlyAccess({ home, keysSecrets, drain }: OwnRequest): Desired {
  const { transport, namespace, owner } = home;
  const place = { namespace, labels: labelsOf(transport), ownerReferences: [owner] };
  const objects = accessObjects(transport, { keysSecrets, replicas: drain.replicas });
  return {
    growth: [],
    faults: [],
    objects: objects.map((object) => ({ ...object, metadata: { ...object.metadata, ...place } })),
  };
}

/** Owned objects that should not be any more, such as the Service of a transport that has no port. */
function surplus(objects: readonly DesiredObject[], { key, home }: OwnRequest, view: ClusterView) {
  const wanted = new Set(objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`));
  return OWNED_KINDS.flatMap((kind) =>
    view
      .ownedBy(kind, key)
      .filter(({ metadata }) => isOwnedBy(metadata, home.owner))
      .filter(({ metadata }) => !wanted.has(`${kind}/${metadata.name}`))
      .map(({ metadata }) => ({ kind, name: metadata.name })),
  );
}

/**
 * One TransportPod for each pod that shall be. Those of pods that are gone go, but not before the StatefulSet is seen to have
 * shrunk: it may refuse to, and then the pod is still to be told to drain.
 */
async function settlePods(
  { key, home, drain }: OwnRequest,
  { view, cluster, attempts }: OwnDeps,
): Promise<void> {
  const present = new Map(view.transportPods(key).map((one) => [one.metadata.name, one]));
  for (const [name, isDraining] of drain.pods) {
    const before = present.get(name);
    const isOurs = before !== undefined && isOwnedBy(before.metadata, home.owner);
    if (isOurs && before.drain === isDraining) continue;
    const spec = { transport: home.transport, drain: isDraining };
    await attempts.of(cluster.apply(ownObject("TransportPod", name, { spec, home }), undefined, home));
  }
  const workload = view.owned("StatefulSet", key)?.spec as { readonly replicas?: number } | undefined;
  for (const name of present.keys()) {
    const isReplica =
      (ordinalOf(home.transport, name) ?? Number.POSITIVE_INFINITY) < (workload?.replicas ?? 0);
    if (!drain.pods.has(name) && !isReplica)
      await attempts.of(cluster.remove("TransportPod", name, home.namespace));
  }
}

/** Names of the Secrets that a head makes pods read. */
export function keysOf(head: TransportSnapshotSpec | undefined): readonly string[] {
  const names = [head?.current.keys?.secret, head?.canary?.keys?.secret];
  return names.filter((name) => name !== undefined);
}
