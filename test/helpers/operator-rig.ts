/**
 * The operator's reconciliation over objects in memory: what is written is seen at once, unless the view is told to lag.
 *
 *   const rig = openOperatorRig();
 *   rig.transport({ replicas: 2 });
 *   await rig.settle();
 *   expect(rig.writes).toEqual([]);
 *
 * @module
 */
import { chunkName, type TransportPodStatus, type TransportSnapshotSpec } from "../../crds/delivery-kinds.ts";
import type { Kind } from "../../crds/mod.ts";
import { ForeignObjectError } from "../../lib/kube/apply.ts";
import { KubeError } from "../../lib/kube/errors.ts";
import type { KubeObject, ObjectMeta } from "../../lib/kube/types.ts";
import { type Cluster, ownObject } from "../../operator/cluster.ts";
import { type HeldChunk, holdChunk, holdHead, holdObject, holdTransportPod } from "../../operator/held.ts";
import { isOwnedBy } from "../../operator/labels.ts";
import { createOperatorMetrics } from "../../operator/metrics.ts";
import type { OperatorDeps } from "../../operator/own.ts";
import { createReconciler } from "../../operator/reconcile.ts";
import type { HeldObject, PodFacts } from "../../operator/types.ts";
import type { ClusterView } from "../../operator/view.ts";
import { createFakeClock } from "./fake-clock.ts";
import { silentLog } from "./fake-kube.ts";

const KEY = "mail/hub";

/** Kind/namespace/name -> object. */
type Objects = Map<string, KubeObject>;

export type OperatorRig = ReturnType<typeof openOperatorRig>;

export function openOperatorRig() {
  const objects: Objects = new Map();
  const held = new Map<string, HeldObject>();
  const steady = createFakeClock(Date.parse("2026-11-22T00:00:00Z"));
  let backMs = 0;
  const clock = {
    ...steady,
    now: () => steady.now() - backMs,
    /** The wall clock only. */
    setBack: (ms: number) => (backMs += ms),
  };
  const writes: string[] = [];
  let shown: Objects | undefined;
  let version = 100;
  const rig = {
    objects,
    clock,
    /** Writes since the last look at them, as "verb Kind/namespace/name". */
    writes,
    /** Answers a write with this fault; undefined: it is taken. */
    fault: (_write: string): Error | undefined => undefined,
    /** Secrets that could not be looked at yet. */
    unseen: new Set<string>(),
    put(kind: string, object: Omit<KubeObject, "metadata"> & { metadata: Partial<ObjectMeta> }) {
      const { name = "", namespace = "mail", ...metadata } = object.metadata;
      const key = `${kind}/${namespace}/${name}`;
      const before = objects.get(key);
      version += 1;
      const isSame = JSON.stringify(before?.spec) === JSON.stringify(object.spec);
      const generation = (before?.metadata.generation ?? 0) + (isSame && before !== undefined ? 0 : 1);
      const kept = {
        uid: before?.metadata.uid ?? `uid-${version}`,
        creationTimestamp: before?.metadata.creationTimestamp ?? new Date(clock.now()).toISOString(),
        deletionTimestamp: before?.metadata.deletionTimestamp,
        finalizers: before?.metadata.finalizers,
        generation,
      };
      const whole = Object.fromEntries(
        Object.entries({ ...kept, ...metadata, name, namespace, resourceVersion: String(version) }).filter(
          ([, value]) => value !== undefined,
        ),
      ) as unknown as ObjectMeta;
      objects.set(key, { status: before?.status, ...object, metadata: whole });
    },
    transport(spec: object = {}, metadata: Partial<ObjectMeta> = {}) {
      rig.put("MailTransport", {
        metadata: { name: "hub", ...metadata },
        spec: { hostname: "mx.contoso.example", ...spec },
      });
    },
    /** The pod is there, ready, and says this of itself. */
    pod(name: string, status: Partial<TransportPodStatus> = {}) {
      rig.put("Pod", { metadata: { name } });
      const before = objects.get(`TransportPod/mail/${name}`);
      if (before === undefined) throw new Error(`There is no TransportPod ${name}`);
      const said = { draining: false, drained: false, ...(before.status as object), ...status };
      objects.set(`TransportPod/mail/${name}`, { ...before, status: said });
    },
    /** Every replica takes what the head names. */
    podsAcknowledge() {
      const { current, canary } = rig.head();
      for (const [key, { metadata }] of objects) {
        if (!key.startsWith("TransportPod/")) continue;
        const { pod: _pod, since: _since, ...trial } = canary ?? { pod: "", since: "", ...current };
        rig.pod(metadata.name, { snapshot: canary?.pod === metadata.name ? trial : current });
      }
    },
    head: () => objects.get(`TransportSnapshot/${KEY}`)?.spec as TransportSnapshotSpec,
    /** From now on the view shows what is now. */
    lag: () => (shown = new Map(objects)),
    catchUp: () => (shown = undefined),
    restart: () => (reconciler = createReconciler(deps)),
    async reconcile() {
      writes.length = 0;
      return reconciler.run(KEY);
    },
    /** Reconciles until nothing is written any more. */
    async settle() {
      for (let turn = 0; turn < 20; turn += 1) {
        await rig.reconcile();
        if (writes.length === 0) return;
      }
      throw new Error(`Never at rest: ${writes.join(", ")}`);
    },
    /** A workload with all pods ready, serving the head. */
    async run(spec: object = {}) {
      rig.transport({ replicas: 3, ...spec });
      for (let turn = 0; turn < 4; turn += 1) {
        await rig.settle();
        rig.podsAcknowledge();
      }
      await rig.settle();
      writes.length = 0;
    },
    status: () => objects.get(`MailTransport/${KEY}`)?.status as Record<string, unknown>,
    condition(type: string) {
      const { conditions = [] } = rig.status() as { conditions?: { type: string; message: string }[] };
      return conditions.find((one) => one.type === type) as
        | { status: string; reason: string; message: string }
        | undefined;
    },
  };
  const view = viewOf(() => shown ?? objects, held);
  const followed = new Set<string>();
  const cluster = clusterOf(rig);
  const deps: OperatorDeps = {
    view,
    cluster,
    secrets: {
      async follow(_user, names) {
        followed.clear();
        for (const name of names) followed.add(name);
      },
      contents: (names) =>
        new Map(
          [...names].flatMap((name) => {
            const found = rig.unseen.has(name) ? undefined : objects.get(`Secret/${name}`);
            return found === undefined || !followed.has(name) ? [] : [[name, textsOf(found)] as const];
          }),
        ),
      isGone: (name) => followed.has(name) && !rig.unseen.has(name) && !objects.has(`Secret/${name}`),
      stop() {},
    },
    events: { record() {}, idle: async () => {}, stop: async () => {} },
    clock,
    log: silentLog,
    metrics: createOperatorMetrics(),
    image: "postroom:1",
    verdicts: new Map(),
    put: ({ kind, metadata, status: before }, status) =>
      void cluster.applyStatus(kind, { metadata, status: before }, status).catch(() => {}),
    reportChildren() {},
  };
  let reconciler = createReconciler(deps);
  return rig;
}

interface Store {
  readonly objects: Objects;
  readonly writes: string[];
  readonly fault: (write: string) => Error | undefined;
  put(kind: string, object: Omit<KubeObject, "metadata"> & { metadata: Partial<ObjectMeta> }): void;
}

function clusterOf(rig: Store): Cluster {
  const { objects } = rig;
  const write = (verb: string, key: string) => {
    rig.writes.push(`${verb} ${key}`);
    const fault = rig.fault(`${verb} ${key}`);
    if (fault !== undefined) throw fault;
  };
  const read = (key: string) => objects.get(key);
  return {
    async apply(object, _live, { owner }) {
      const key = `${object.kind}/${object.metadata.namespace}/${object.metadata.name}`;
      const before = read(key);
      if (before !== undefined && !isOwnedBy(before.metadata, owner))
        throw new ForeignObjectError(object.kind, key);
      const { apiVersion: _version, kind, ...content } = object;
      if (before !== undefined && JSON.stringify(contentOf(before)) === JSON.stringify(contentOf(object)))
        return "unchanged";
      write("apply", key);
      rig.put(kind, content);
      return before === undefined ? "created" : "updated";
    },
    applyShared: async () => "unchanged",
    readHead: async ({ namespace, transport }) => {
      const head = read(`TransportSnapshot/${namespace}/${transport}`);
      return head && holdHead(head);
    },
    async writeHead(spec, home, before) {
      const key = `TransportSnapshot/${home.namespace}/${home.transport}`;
      const { resourceVersion } = before?.metadata ?? {};
      if (resourceVersion !== undefined && resourceVersion !== read(key)?.metadata.resourceVersion)
        throw kubeFault(409, "Conflict");
      write("head", key);
      rig.put("TransportSnapshot", ownObject("TransportSnapshot", home.transport, { spec, home }));
      const held = holdHead(read(key) as KubeObject);
      if (held === undefined) throw new Error("not read back");
      return held;
    },
    async writeChunk(spec, home) {
      const name = chunkName(home.transport, spec.digest);
      write("chunk", `SnapshotChunk/${home.namespace}/${name}`);
      rig.put("SnapshotChunk", ownObject("SnapshotChunk", name, { spec, home }));
    },
    readChunk: async (digest, { namespace, transport }) =>
      read(`SnapshotChunk/${namespace}/${chunkName(transport, digest)}`),
    readSecret: async (name, { namespace }) => read(`Secret/${namespace}/${name}`),
    async createSecret(object) {
      const key = `Secret/${object.metadata.namespace}/${object.metadata.name}`;
      write("create", key);
      if (objects.has(key)) return false;
      rig.put("Secret", object);
      return true;
    },
    async applyStatus(kind, { metadata, status: live }, status) {
      if (live === status || JSON.stringify(live) === JSON.stringify(status)) return false;
      const key = `${kind}/${metadata.namespace}/${metadata.name}`;
      write("status", key);
      const before = read(key);
      if (before === undefined) throw kubeFault(404, "NotFound");
      objects.set(key, { ...before, status });
      return true;
    },
    async setFinalizers({ namespace, name, resourceVersion }, finalizers) {
      const key = `MailTransport/${namespace}/${name}`;
      const before = read(key);
      if (before?.metadata.resourceVersion !== resourceVersion) return false;
      write("finalizers", key);
      rig.put("MailTransport", { ...before, metadata: { ...before?.metadata, finalizers } });
      const isGone = before?.metadata.deletionTimestamp !== undefined && finalizers.length === 0;
      if (isGone) objects.delete(key);
      return true;
    },
    growVolume: async () => {},
    async remove(kind, name, namespace) {
      write("delete", `${kind}/${namespace}/${name}`);
      objects.delete(`${kind}/${namespace}/${name}`);
    },
  };
}

function viewOf(objects: () => Objects, held: Map<string, HeldObject>): ClusterView {
  const all = (kind: string) => [...objects()].filter(([key]) => key.startsWith(`${kind}/`));
  const one = (kind: Kind, key: string) => {
    const name = `${kind}/${key}`;
    const found = objects().get(name);
    if (found === undefined) return undefined;
    const reading = holdObject(kind, found, held.get(name));
    held.set(name, reading);
    return reading;
  };
  const transportPods = () =>
    all("TransportPod")
      .map(([, object]) => holdTransportPod(object))
      .filter(({ transport }) => transport === KEY);
  return {
    synced: Promise.resolve(),
    isSynced: true,
    objects: (kind) => all(kind).flatMap(([key]) => one(kind, key.slice(kind.length + 1)) ?? []),
    object: one,
    head(transport) {
      const head = objects().get(`TransportSnapshot/${transport}`);
      return head && holdHead(head);
    },
    chunks: () =>
      new Map(
        all("SnapshotChunk").map(([, object]): [string, HeldChunk] => [digestOf(object), holdChunk(object)]),
      ),
    pods: () =>
      transportPods().map(({ metadata, drain, status }): PodFacts => {
        const exists = objects().has(`Pod/mail/${metadata.name}`);
        return { name: metadata.name, ready: exists, exists, drain, status };
      }),
    transportPods,
    owned: (kind, key) => objects().get(`${kind}/${key}`),
    ownedBy: (kind) => all(kind).map(([, object]) => object),
    claims: () => [],
    namespaces: () => new Map(),
    stop() {},
  };
}

/** As the API server refuses. */
export function kubeFault(status: number, reason: string): KubeError {
  return new KubeError({ verb: "PATCH", path: "/apis/x", status, reason, words: "refused by a test" });
}

function contentOf({ metadata: { labels, annotations, ownerReferences }, ...content }: KubeObject) {
  return { spec: content.spec, rules: content.rules, labels, annotations, ownerReferences };
}

function digestOf({ spec }: KubeObject): string {
  return (spec as { digest: string }).digest;
}

function textsOf({ data }: KubeObject): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries((data ?? {}) as Record<string, string>).map(([key, value]) => [
      key,
      Buffer.from(value, "base64").toString(),
    ]),
  );
}
