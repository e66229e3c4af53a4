/**
 * As much of an API server as a transport pod meets, in memory: heads, chunks, keys and the pod's own object.
 *
 * The operator's part is played by hand: `publish` writes chunks and keys of a compiled configuration and returns the
 * revision that a head can name.
 *
 * @module
 */
import { createHmac, randomBytes } from "node:crypto";
import { chunkName, type Revision, type TransportSnapshotSpec } from "../../crds/delivery-kinds.ts";
import { parseManifests } from "../../crds/mod.ts";
import type { KubeHttp, KubeObject } from "../../lib/kube/types.ts";
import { canonicalJson, compileSnapshot, encodeChunk, type PackedSnapshot } from "../../snapshot/mod.ts";
import { type FakeCall, type FakeKube, startFakeKube } from "./fake-kube.ts";

export const NAMESPACE = "mail";
export const TRANSPORT = "hub";
const OURS = `/apis/postroom.dev/v1alpha1/namespaces/${NAMESPACE}`;
const SECRETS = `/api/v1/namespaces/${NAMESPACE}/secrets`;

export interface FakeCluster {
  readonly kube: FakeKube;
  client(): KubeHttp;
  /** Compiles manifests and writes chunks and keys; `without`: all but the object of this name. */
  publish(number: number, manifests: string, options?: PublishOptions): Revision;
  /** Writes the head: one write is the switch. */
  head(head: Omit<TransportSnapshotSpec, "formatVersion" | "history">): void;
  pod(name: string, spec?: { readonly drain?: boolean }): void;
  status(pod: string): Readonly<Record<string, unknown>>;
  put(path: string, object: object): void;
  get(path: string): KubeObject | undefined;
  remove(path: string): void;
  /** Writes of the pods so far. */
  readonly writes: number;
  /** Fields of every status that another writer holds. */
  heldByOthers: object;
  /** Answers with this status instead; undefined: as it should. */
  fault: ((call: FakeCall) => number | undefined) | undefined;
  stop(): Promise<void>;
}

export interface PublishOptions {
  readonly secrets?: TestSecrets;
}

export const pathOf = {
  chunk: (digest: string) => `${OURS}/snapshotchunks/${chunkName(TRANSPORT, digest)}`,
  keys: (name: string) => `${SECRETS}/${name}`,
  head: `${OURS}/transportsnapshots/${TRANSPORT}`,
  pod: (name: string) => `${OURS}/transportpods/${name}`,
};

export type TestSecrets = Readonly<Record<string, Readonly<Record<string, string>>>>;

export function packManifests(text: string, secrets: TestSecrets = {}): PackedSnapshot {
  const { resources, faults } = parseManifests([{ path: "all.yaml", text }]);
  if (faults.length > 0) throw new Error(JSON.stringify(faults));
  const { packed, diagnostics } = compileSnapshot({
    resources: resources.map(({ resource }) => resource),
    secrets: new Map(Object.entries(secrets)),
  });
  if (packed === undefined) throw new Error(JSON.stringify(diagnostics));
  return packed;
}

/** Content of a keys Secret, and the digest by which a head names it. */
export function packKeys(secrets: TestSecrets) {
  const text = canonicalJson(secrets);
  const salt = randomBytes(32);
  const data = { "keys.json": Buffer.from(text).toString("base64"), salt: salt.toString("base64") };
  return { data, digest: createHmac("sha256", salt).update(text).digest("hex") };
}

export async function startFakeCluster(): Promise<FakeCluster> {
  const objects = new Map<string, KubeObject>();
  const watches = new Map<FakeCall, string>();
  let version = 100;
  let writes = 0;
  let keysNumber = 0;
  const tell = (path: string, type: string, object: KubeObject) => {
    for (const [call, watched] of watches) if (watched === path) call.event(type, object);
  };
  const put = (path: string, content: object) => {
    const before = objects.get(path);
    version += 1;
    const metadata = {
      uid: before?.metadata.uid ?? `uid-${version}`,
      name: path.split("/").at(-1) ?? "",
      namespace: NAMESPACE,
      resourceVersion: String(version),
    };
    const object = { ...before, ...content, metadata };
    objects.set(path, object);
    tell(path, before === undefined ? "ADDED" : "MODIFIED", object);
    return object;
  };
  const collection = (call: FakeCall) => {
    const name = call.query.get("fieldSelector")?.replace("metadata.name=", "") ?? "";
    const path = `${call.path}/${name}`;
    if (call.query.get("watch") === "true") {
      watches.set(call, path);
      call.response.on("close", () => watches.delete(call));
      call.response.flushHeaders();
      const object = objects.get(path);
      const since = Number(call.query.get("resourceVersion") ?? 0);
      if (object !== undefined && Number(object.metadata.resourceVersion) > since)
        call.event("ADDED", object);
      return;
    }
    const object = objects.get(path);
    call.list(object === undefined ? [] : [object], { resourceVersion: String(version) });
  };
  const answer = (call: FakeCall) => {
    const status = cluster.fault?.(call);
    if (status !== undefined) return call.status(status, status === 403 ? "Forbidden" : "InternalError");
    if (call.query.has("fieldSelector")) return collection(call);
    const path = call.path.replace(/\/status$/, "");
    const object = objects.get(path);
    if (object === undefined) return call.status(404, "NotFound");
    if (call.method === "GET") return call.json(object);
    writes += 1;
    return call.json(put(path, { status: { ...JSON.parse(call.body).status, ...cluster.heldByOthers } }));
  };
  const kube = await startFakeKube(answer);
  const cluster: FakeCluster = {
    kube,
    client: () => kube.client(),
    publish(revision, manifests, { secrets = {} } = {}) {
      const packed = packManifests(manifests, secrets);
      for (const [digest, text] of packed.chunks) {
        if (!objects.has(pathOf.chunk(digest))) put(pathOf.chunk(digest), { spec: encodeChunk(text) });
      }
      if (Object.keys(secrets).length === 0) return { revision, digest: packed.digest };
      const secret = `${TRANSPORT}-keys-${++keysNumber}`;
      const { data, digest } = packKeys(secrets);
      put(pathOf.keys(secret), { data });
      return { revision, digest: packed.digest, keys: { secret, digest } };
    },
    head: (head) => void put(pathOf.head, { spec: { formatVersion: 1, history: [], ...head } }),
    pod: (name, { drain = false } = {}) =>
      void put(pathOf.pod(name), { spec: { transport: TRANSPORT, drain } }),
    status: (pod) => (objects.get(pathOf.pod(pod))?.status ?? {}) as Record<string, unknown>,
    put: (path, object) => void put(path, object),
    get: (path) => objects.get(path),
    remove(path) {
      const object = objects.get(path);
      objects.delete(path);
      version += 1;
      if (object !== undefined)
        tell(path, "DELETED", {
          ...object,
          metadata: { ...object.metadata, resourceVersion: String(version) },
        });
    },
    get writes() {
      return writes;
    },
    heldByOthers: {},
    fault: undefined,
    stop: () => kube.stop(),
  };
  return cluster;
}
