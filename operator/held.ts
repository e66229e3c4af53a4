/** Reads watched objects: ours by their schema, once per generation; the pods and heads into the little that is needed. Pure. */
import { TransportPodSpec, TransportPodStatus, TransportSnapshotSpec } from "../crds/delivery-kinds.ts";
import { formatPath } from "../crds/faults.ts";
import type { Kind } from "../crds/mod.ts";
import { readLiveObject } from "../crds/read-object.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import { objectKey } from "../lib/kube/paths.ts";
import type { KubeObject, ObjectMeta } from "../lib/kube/types.ts";
import type { HeldObject, ResourceStatus } from "./types.ts";

/** `before`: what was held under this key; its reading is kept while uid and generation are the same. */
export function holdObject(kind: Kind, object: KubeObject, before: HeldObject | undefined): HeldObject {
  const { metadata } = object;
  const status = object.status as ResourceStatus | undefined;
  const same = before?.metadata.uid === metadata.uid && before?.metadata.generation === metadata.generation;
  if (before !== undefined && same) return { ...before, metadata, status };
  const { resource, faults } = readLiveObject(kind, object);
  const name = `${kind}/${objectKey(metadata)}`;
  return {
    key: objectKey(metadata),
    kind,
    metadata,
    resource,
    faults: faults.map(
      ({ path, reason }): Diagnostic => ({
        object: name,
        path: formatPath(path),
        reason: "Invalid",
        message: reason,
        severity: "error",
      }),
    ),
    status,
  };
}

export interface HeldHead {
  readonly metadata: ObjectMeta;
  readonly spec: TransportSnapshotSpec;
}

/** undefined: somebody wrote what is no head; it is written anew. */
export function holdHead({ metadata, spec }: KubeObject): HeldHead | undefined {
  const parsed = TransportSnapshotSpec.safeParse(spec);
  return parsed.success ? { metadata, spec: parsed.data } : undefined;
}

export interface HeldChunk {
  readonly name: string;
  /** namespace/name of the MailTransport. */
  readonly transport: string;
  /** uid of the MailTransport: one of the same name may have come after it. */
  readonly owner: string;
  readonly digest: string;
  /** RFC 3339. */
  readonly createdAt: string;
  /** Octets, compressed. */
  readonly bytes: number;
}

/** The data is not kept: what was written is known by its digest. */
export function holdChunk({ metadata, spec }: KubeObject): HeldChunk {
  const { digest = "", data = "" } = (spec ?? {}) as { digest?: string; data?: string };
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  return {
    name: metadata.name,
    transport: `${metadata.namespace}/${owner?.name ?? ""}`,
    owner: owner?.uid ?? "",
    digest,
    createdAt: metadata.creationTimestamp ?? "",
    bytes: Math.floor((data.length * 3) / 4),
  };
}

export interface HeldTransportPod {
  readonly metadata: ObjectMeta;
  /** namespace/name of the MailTransport. */
  readonly transport: string;
  readonly drain: boolean;
  readonly status: TransportPodStatus | undefined;
}

/** A pod of another version that says what we do not understand: it may hold mail. */
const NOT_UNDERSTOOD: TransportPodStatus = { draining: false, drained: false };

export function holdTransportPod({ metadata, spec, status }: KubeObject): HeldTransportPod {
  const read = TransportPodSpec.safeParse(spec);
  const said = TransportPodStatus.safeParse(status);
  return {
    metadata,
    transport: `${metadata.namespace}/${read.data?.transport ?? ""}`,
    drain: read.data?.drain ?? false,
    status: said.data ?? (status === undefined ? undefined : NOT_UNDERSTOOD),
  };
}

export interface HeldPod {
  readonly metadata: ObjectMeta;
  readonly transport: string;
  readonly ready: boolean;
}

export function holdPod({ metadata, status }: KubeObject): HeldPod {
  const { conditions = [] } = (status ?? {}) as { conditions?: { type: string; status: string }[] };
  const isReady = conditions.some((condition) => condition.type === "Ready" && condition.status === "True");
  return {
    metadata,
    transport: `${metadata.namespace}/${metadata.labels?.["app.kubernetes.io/instance"] ?? ""}`,
    ready: isReady && metadata.deletionTimestamp === undefined,
  };
}
