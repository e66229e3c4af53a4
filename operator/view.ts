/**
 * ClusterView: all that the operator watches, held in memory, and which transports a change concerns.
 *
 * What is read of an object is kept for as long as its generation is the same, so that compiling can tell by identity
 * what did not change. Every replica of the operator holds a view; only the leader acts on it.
 *
 * @module
 */
import type { AnyResource, Kind } from "../crds/mod.ts";
import { objectKey, RESOURCES } from "../lib/kube/paths.ts";
import type { KubeObject, Reflector, ReflectorChange, ResourceType } from "../lib/kube/types.ts";
import {
  type HeldChunk,
  type HeldHead,
  type HeldPod,
  type HeldTransportPod,
  holdChunk,
  holdHead,
  holdObject,
  holdPod,
  holdTransportPod,
} from "./held.ts";
import type { HeldObject, PodFacts } from "./types.ts";
import { type WatchDeps, watchKind } from "./watched.ts";

export const OUR_KINDS = [
  "MailTransport",
  "ReceiveConnector",
  "SendConnector",
  "AcceptedDomain",
  "TransportRule",
] as const satisfies readonly Kind[];

/** Kinds of the objects that a MailTransport owns, in the order in which they are written. */
export const OWNED_KINDS = [
  "ServiceAccount",
  "Role",
  "RoleBinding",
  "NetworkPolicy",
  "Service",
  "PodDisruptionBudget",
  "StatefulSet",
] as const;
export type OwnedKind = (typeof OWNED_KINDS)[number];

const OURS = "app.kubernetes.io/managed-by=postroom-operator";

export interface ClusterView {
  /** Resolves when everything was listed once. */
  readonly synced: Promise<void>;
  readonly isSynced: boolean;
  objects(kind: Kind): Iterable<HeldObject>;
  object(kind: Kind, key: string): HeldObject | undefined;
  head(transport: string): HeldHead | undefined;
  /** By digest. */
  chunks(transport: string): ReadonlyMap<string, HeldChunk>;
  pods(transport: string): readonly PodFacts[];
  transportPods(transport: string): readonly HeldTransportPod[];
  owned(kind: OwnedKind, key: string): KubeObject | undefined;
  /** All owned objects of one kind that belong to a transport. */
  ownedBy(kind: OwnedKind, transport: string): readonly KubeObject[];
  /** Volumes of the queue. */
  claims(transport: string): readonly { readonly name: string; readonly size: string }[];
  /** Namespace -> its labels; undefined: namespaces may not be read. */
  namespaces(): ReadonlyMap<string, Readonly<Record<string, string>>> | undefined;
  stop(): void;
}

export interface ViewListener {
  /** Something that concerns this transport (namespace/name) changed. */
  transport(key: string): void;
  /** One of its pods said something: the rollout may go on. */
  acknowledged(key: string): void;
  /** An object that attaches to transports changed or is gone. */
  child(change: ReflectorChange<HeldObject>): void;
}

export function openView(deps: WatchDeps, listener: ViewListener): ClusterView {
  const { kinds, heads, chunksOf, transportPods, pods, owned, claims, namespaces, all } = openAll(
    deps,
    listener,
  );
  return {
    synced: Promise.all(all.map(({ synced }) => synced)).then(() => undefined),
    get isSynced() {
      return all.every(({ isSynced }) => isSynced);
    },
    objects: (kind) => kinds.get(kind)?.items() ?? [],
    object: (kind, key) => kinds.get(kind)?.get(key),
    head: (transport) => heads.get(transport),
    chunks: (transport) => chunksOf.get(transport) ?? new Map(),
    transportPods: (transport) => [...transportPods.items()].filter((one) => one.transport === transport),
    pods: (transport) => podFacts(transport, [...transportPods.items()], pods),
    owned: (kind, key) => owned.get(kind)?.get(key),
    ownedBy: (kind, transport) =>
      [...(owned.get(kind)?.items() ?? [])].filter((one) => instanceOf(one) === transport),
    claims: (transport) =>
      [...claims.items()]
        .filter((one) => instanceOf(one) === transport)
        .map(({ metadata, spec }) => ({ name: metadata.name, size: sizeOf(spec) })),
    namespaces: namespaces.labels,
    stop() {
      for (const one of all) one.stop();
    },
  };
}

function openAll(deps: WatchDeps, listener: ViewListener) {
  const kinds = new Map(OUR_KINDS.map((kind) => [kind, watchOurs(kind, deps, listener)]));
  const chunksOf = new Map<string, Map<string, HeldChunk>>();
  const heads = watchKind<HeldHead | undefined>(
    {
      type: RESOURCES.TransportSnapshot,
      transform: holdHead,
      onChange: ({ key }) => listener.transport(key),
    },
    deps,
  );
  const chunks = watchKind<HeldChunk>(
    {
      type: RESOURCES.SnapshotChunk,
      transform: holdChunk,
      onChange({ now, before }) {
        indexChunk(chunksOf, now, before);
        // A pod may need it.
        if (now === undefined) tell(listener, before?.transport);
      },
    },
    deps,
  );
  const transportPods = watchKind<HeldTransportPod>(
    {
      type: RESOURCES.TransportPod,
      transform: holdTransportPod,
      onChange({ now, before }) {
        if (now !== undefined && before !== undefined && saysMoreThanItsQueue(now, before))
          listener.acknowledged(now.transport);
        else tell(listener, now?.transport ?? before?.transport);
      },
    },
    deps,
  );
  const pods = watchKind<HeldPod>(
    {
      type: RESOURCES.Pod,
      labelSelector: OURS,
      transform: holdPod,
      onChange: ({ now, before }) => {
        if (now?.ready !== before?.ready || now === undefined)
          tell(listener, now?.transport ?? before?.transport);
      },
    },
    deps,
  );
  const owned = new Map(OWNED_KINDS.map((kind) => [kind, watchOwned(RESOURCES[kind], deps, listener)]));
  const claims = watchOwned(RESOURCES.PersistentVolumeClaim, deps, listener);
  const namespaces = watchNamespaces(deps, kinds.get("MailTransport"), listener);
  const all = [
    ...kinds.values(),
    heads,
    chunks,
    transportPods,
    pods,
    ...owned.values(),
    claims,
    ...namespaces.parts,
  ];
  return { kinds, heads, chunksOf, transportPods, pods, owned, claims, namespaces, all };
}

function watchOurs(kind: Kind, deps: WatchDeps, listener: ViewListener): Reflector<HeldObject> {
  const reflector: Reflector<HeldObject> = watchKind<HeldObject>(
    {
      type: RESOURCES[kind],
      transform: (object) => holdObject(kind, object, reflector.get(objectKey(object.metadata))),
      onChange(change) {
        if (isStatusOnly(change)) return;
        if (kind === "MailTransport") listener.transport(change.key);
        else listener.child(change);
      },
    },
    deps,
  );
  return reflector;
}

/** Our own writes of a status come back as changes. */
function isStatusOnly({ now, before }: ReflectorChange<HeldObject>): boolean {
  if (now === undefined || before === undefined) return false;
  const { metadata: a } = now;
  const { metadata: b } = before;
  return (
    a.uid === b.uid &&
    a.generation === b.generation &&
    a.deletionTimestamp === b.deletionTimestamp &&
    (a.finalizers?.length ?? 0) === (b.finalizers?.length ?? 0)
  );
}

/** Counts of messages change all the time, and nothing waits for them. */
function saysMoreThanItsQueue(now: HeldTransportPod, before: HeldTransportPod): boolean {
  const words = ({ status, drain }: HeldTransportPod) =>
    JSON.stringify({ drain, ...status, queue: undefined });
  return words(now) !== words(before);
}

function watchOwned(type: ResourceType, deps: WatchDeps, listener: ViewListener): Reflector<KubeObject> {
  return watchKind<KubeObject>(
    {
      type,
      labelSelector: OURS,
      transform: (object) => object,
      onChange: ({ now, before }) => tell(listener, instanceOf(now ?? before)),
    },
    deps,
  );
}

function sizeOf(spec: unknown): string {
  const claim = spec as
    | { readonly resources?: { readonly requests?: { readonly storage?: string } } }
    | undefined;
  return claim?.resources?.requests?.storage ?? "";
}

/** namespace/name of the transport that an owned object carries in its labels. */
function instanceOf(object: KubeObject | undefined): string | undefined {
  const instance = object?.metadata.labels?.["app.kubernetes.io/instance"];
  return instance === undefined ? undefined : `${object?.metadata.namespace}/${instance}`;
}

/** Labels matter to transports that choose namespaces by them. An operator bound to some namespaces cannot list them. */
function watchNamespaces(
  deps: WatchDeps,
  transports: Reflector<HeldObject> | undefined,
  listener: ViewListener,
) {
  if (deps.namespaces !== undefined) return { parts: [], labels: () => undefined };
  const reflector = watchKind<{ readonly name: string; readonly labels: Readonly<Record<string, string>> }>(
    {
      type: RESOURCES.Namespace,
      transform: ({ metadata }) => ({ name: metadata.name, labels: metadata.labels ?? {} }),
      onChange() {
        for (const { key, resource } of transports?.items() ?? []) {
          if (usesSelector(resource)) listener.transport(key);
        }
      },
    },
    deps,
  );
  const labels = () => new Map([...reflector.items()].map((one) => [one.name, one.labels]));
  return { parts: [reflector], labels };
}

/** One that cannot be read keeps its last good form, which may. */
function usesSelector(resource: AnyResource | undefined): boolean {
  if (resource === undefined) return true;
  return resource.kind === "MailTransport" && resource.spec.allowedNamespaces.from === "Selector";
}

function indexChunk(
  index: Map<string, Map<string, HeldChunk>>,
  now: HeldChunk | undefined,
  before: HeldChunk | undefined,
): void {
  if (before !== undefined) index.get(before.transport)?.delete(before.digest);
  if (now === undefined) return;
  const chunks = index.get(now.transport) ?? new Map<string, HeldChunk>();
  index.set(now.transport, chunks);
  chunks.set(now.digest, now);
}

function podFacts(
  transport: string,
  transportPods: readonly HeldTransportPod[],
  pods: Reflector<HeldPod>,
): PodFacts[] {
  return transportPods
    .filter((one) => one.transport === transport)
    .map(({ metadata, drain, status }) => {
      const pod = pods.get(objectKey(metadata));
      return { name: metadata.name, ready: pod?.ready ?? false, exists: pod !== undefined, drain, status };
    })
    .sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}

function tell(listener: ViewListener, transport: string | undefined): void {
  if (transport !== undefined) listener.transport(transport);
}
