/**
 * Cluster: every write of the operator to the API server, but for leader election and events.
 *
 * All by server-side apply with one field manager, or by name; reading is the view's. Rejects with KubeError.
 *
 * @module
 */
import { chunkName, type SnapshotChunkSpec, type TransportSnapshotSpec } from "../crds/delivery-kinds.ts";
import { API_VERSION } from "../crds/mod.ts";
import { type Applied, createApplier, type Desired } from "../lib/kube/apply.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../lib/kube/errors.ts";
import { RESOURCES, type ResourceName, resourcePath } from "../lib/kube/paths.ts";
import type { KubeHttp, KubeObject, ObjectMeta, OwnerReference } from "../lib/kube/types.ts";
import type { HeldHead } from "./held.ts";
import { holdHead } from "./held.ts";
import { labelsOf } from "./labels.ts";

export const FIELD_MANAGER = "postroom-operator";
export const FINALIZER = "postroom.dev/drain";

/** A MailTransport as its owned objects know it. */
export interface Home {
  readonly namespace: string;
  /** Name of the MailTransport. */
  readonly transport: string;
  readonly owner: OwnerReference;
}

export interface Cluster {
  /** Applies an owned object when it differs from `live`. Throws ForeignObjectError. */
  apply(object: Desired, live: KubeObject | undefined, home: Home): Promise<Applied>;
  /** Applies a cluster-scoped object, which nobody owns. */
  applyShared(object: Desired): Promise<Applied>;
  /** undefined: there is none that can be read. Asked of the API server itself: a watch may lag behind another operator. */
  readHead(home: Home): Promise<HeldHead | undefined>;
  /** Rejects with a conflict when the head is not `before` any more; undefined: whatever is there is replaced. */
  writeHead(spec: TransportSnapshotSpec, home: Home, before: HeldHead | undefined): Promise<HeldHead>;
  writeChunk(spec: SnapshotChunkSpec, home: Home): Promise<void>;
  /** undefined: there is none (any more). */
  readChunk(digest: string, home: Home): Promise<KubeObject | undefined>;
  readSecret(name: string, home: Home): Promise<KubeObject | undefined>;
  /** False: the name is taken. */
  createSecret(object: Desired): Promise<boolean>;
  applyStatus(kind: ResourceName, object: KubeObject, status: unknown): Promise<boolean>;
  /** False: the object has changed since it was read; what it is now will be seen soon. */
  setFinalizers(metadata: ObjectMeta, finalizers: readonly string[]): Promise<boolean>;
  growVolume(name: string, size: string, home: Home): Promise<void>;
  /** Deletes by name; what is gone already is no fault. */
  remove(kind: ResourceName, name: string, namespace: string): Promise<void>;
}

export function createCluster(http: KubeHttp): Cluster {
  const applier = createApplier({ http, fieldManager: FIELD_MANAGER });
  const read = (kind: ResourceName, name: string, namespace: string) =>
    unlessGone(http.request({ method: "GET", path: resourcePath(RESOURCES[kind], { namespace, name }) }));
  return {
    apply: (object, live, home) => applier.apply(object, { type: typeOf(object), live, owner: home.owner }),
    applyShared: async (object) => {
      const type = typeOf(object);
      const path = resourcePath(type, { name: object.metadata.name });
      return applier.apply(object, { type, live: await unlessGone(http.request({ method: "GET", path })) });
    },
    async readHead({ namespace, transport }) {
      const head = await read("TransportSnapshot", transport, namespace);
      return head && holdHead(head);
    },
    writeHead: (spec, home, before) => writeHead(http, { spec, home, before }),
    async writeChunk(spec, home) {
      await force(http, ownObject("SnapshotChunk", chunkName(home.transport, spec.digest), { spec, home }));
    },
    readChunk: (digest, { namespace, transport }) =>
      read("SnapshotChunk", chunkName(transport, digest), namespace),
    readSecret: (name, { namespace }) => read("Secret", name, namespace),
    async createSecret(object) {
      const path = resourcePath(RESOURCES.Secret, { namespace: object.metadata.namespace });
      try {
        await http.request({ method: "POST", path, body: object, query: { fieldManager: FIELD_MANAGER } });
        return true;
      } catch (error) {
        if (isAlreadyExists(error)) return false;
        throw error;
      }
    },
    applyStatus: (kind, object, status) =>
      applier.applyStatus({ type: RESOURCES[kind], object: object.metadata, status, live: object.status }),
    async setFinalizers({ name, namespace, resourceVersion }, finalizers) {
      const call = http.request({
        method: "PATCH",
        path: resourcePath(RESOURCES.MailTransport, { namespace, name }),
        contentType: "application/merge-patch+json",
        query: { fieldManager: FIELD_MANAGER },
        body: { metadata: { resourceVersion, finalizers } },
        retry: false,
      });
      return call.then(
        () => true,
        (error: unknown) => {
          if (isConflict(error) || isNotFound(error)) return false;
          throw error;
        },
      );
    },
    async growVolume(name, size, { namespace }) {
      const claim = await read("PersistentVolumeClaim", name, namespace);
      const spec = claim?.spec as { resources?: { requests?: { storage?: string } } } | undefined;
      if (claim === undefined || spec?.resources?.requests?.storage === size) return;
      await http.request({
        method: "PATCH",
        path: resourcePath(RESOURCES.PersistentVolumeClaim, { namespace, name }),
        contentType: "application/merge-patch+json",
        query: { fieldManager: FIELD_MANAGER },
        body: { spec: { resources: { requests: { storage: size } } } },
      });
    },
    async remove(kind, name, namespace) {
      await unlessGone(
        http.request({ method: "DELETE", path: resourcePath(RESOURCES[kind], { namespace, name }) }),
      );
    },
  };
}

async function writeHead(
  http: KubeHttp,
  {
    spec,
    home,
    before,
  }: {
    readonly spec: TransportSnapshotSpec;
    readonly home: Home;
    readonly before: HeldHead | undefined;
  },
): Promise<HeldHead> {
  const { metadata, ...head } = ownObject("TransportSnapshot", home.transport, { spec, home });
  const { uid, resourceVersion } = before?.metadata ?? {};
  const precondition = { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) };
  const held = holdHead(await force(http, { ...head, metadata: { ...metadata, ...precondition } }));
  if (held === undefined)
    throw new Error(`The head of ${home.namespace}/${home.transport} cannot be read back`);
  return held;
}

async function unlessGone(call: Promise<KubeObject>): Promise<KubeObject | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Written without a look at what is there: the caller knows that it differs. */
async function force(http: KubeHttp, object: Desired): Promise<KubeObject> {
  const { namespace, name } = object.metadata;
  return http.request({
    method: "PATCH",
    path: resourcePath(typeOf(object), { namespace, name }),
    query: { fieldManager: FIELD_MANAGER, force: true },
    contentType: "application/apply-patch+yaml",
    body: object,
  });
}

/** An object of ours that belongs to a MailTransport. */
export function ownObject(
  kind: "TransportSnapshot" | "SnapshotChunk" | "TransportPod",
  name: string,
  { spec, home }: { readonly spec: unknown; readonly home: Home },
): Desired {
  const { namespace, transport, owner } = home;
  const metadata = { name, namespace, labels: labelsOf(transport), ownerReferences: [owner] };
  return { apiVersion: API_VERSION, kind, metadata, spec };
}

function typeOf({ kind }: Desired) {
  const type = Object.values(RESOURCES).find((one) => one.kind === kind);
  if (type === undefined) throw new TypeError(`There is no resource for kind ${kind}`);
  return type;
}
