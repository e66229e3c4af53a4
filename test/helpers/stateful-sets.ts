/** The StatefulSet controller of Kubernetes for one namespace: one look at what is there, the steps that follow, the status. */
import { createHash } from "node:crypto";
import { type Admin, ApiFault } from "./api-client.ts";
import { nextSteps, type SetPod, type SetStep } from "./stateful-set-steps.ts";

export interface StatefulSet {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly generation: number;
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly replicas: number;
    readonly podManagementPolicy: "OrderedReady" | "Parallel";
    readonly updateStrategy: { readonly type: "RollingUpdate" | "OnDelete" };
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly serviceName?: string;
    readonly template: PodTemplate;
    readonly volumeClaimTemplates?: readonly ClaimTemplate[];
  };
  readonly status?: unknown;
}

interface PodTemplate {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly volumes?: readonly unknown[]; readonly [field: string]: unknown };
}

interface ClaimTemplate {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec: unknown;
}

export interface SetPodObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
    readonly ownerReferences?: readonly { readonly uid: string }[];
  };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

interface Written {
  readonly metadata: {
    readonly resourceVersion: string;
    readonly managedFields?: readonly { readonly subresource?: string }[];
  };
  readonly spec?: unknown;
}

/** Changes with whatever is written to an object of a list; to a StatefulSet but its status, which its controller alone writes. */
export function versionOf(listPath: string, { metadata, spec }: Written): string {
  const { resourceVersion, managedFields = [], ...rest } = metadata;
  if (!listPath.endsWith("/statefulsets")) return resourceVersion;
  return JSON.stringify([rest, managedFields.filter(({ subresource }) => subresource !== "status"), spec]);
}

/** Real clusters have the label too. */
const REVISION = "controller-revision-hash";

/** Does what is due for one StatefulSet; returns the steps that it took. */
export async function playSet(
  admin: Admin,
  set: StatefulSet,
  { pods, node }: { readonly pods: readonly SetPodObject[]; readonly node: string },
): Promise<readonly SetStep[]> {
  const { spec, metadata } = set;
  const own = pods.filter((pod) => pod.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid));
  const revision = hashOf(spec.template);
  const facts = own.map((pod) => setPod(metadata.name, pod));
  const isGoing = metadata.deletionTimestamp !== undefined;
  const steps = isGoing
    ? []
    : nextSteps({ ...spec, updateStrategy: spec.updateStrategy.type, revision, pods: facts });
  for (const { act, ordinal } of steps) {
    if (act === "create") await createPod(admin, set, { ordinal, revision, node });
    else await deletePod(admin, metadata.namespace, `${metadata.name}-${ordinal}`);
  }
  await writeStatus(admin, set, { revision, pods: facts });
  return steps;
}

/** Graceful: the API server notes it, the node does it. One that is gone is no fault. */
export async function deletePod(admin: Admin, namespace: string, name: string): Promise<void> {
  await admin("DELETE", `/api/v1/namespaces/${namespace}/pods/${name}`).catch(unless("NotFound"));
}

/** Passes over answers that say what is so already. */
export function unless(...reasons: readonly string[]): (fault: unknown) => undefined {
  return (fault) => {
    if (fault instanceof ApiFault && reasons.includes(fault.reason)) return undefined;
    throw fault;
  };
}

function hashOf(template: PodTemplate): string {
  return createHash("sha256").update(JSON.stringify(template)).digest("hex").slice(0, 10);
}

function setPod(set: string, { metadata, status }: SetPodObject): SetPod {
  return {
    ordinal: Number(metadata.name.slice(set.length + 1)),
    revision: metadata.labels?.[REVISION] ?? "",
    isReady: status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false,
    isLeaving: metadata.deletionTimestamp !== undefined,
  };
}

interface NewPod {
  readonly ordinal: number;
  readonly revision: string;
  readonly node: string;
}

async function createPod(admin: Admin, set: StatefulSet, { ordinal, revision, node }: NewPod): Promise<void> {
  const { metadata, spec } = set;
  const name = `${metadata.name}-${ordinal}`;
  const claims = spec.volumeClaimTemplates ?? [];
  for (const claim of claims) await createClaim(admin, set, { claim, pod: name });
  const volumes = claims.map((claim) => ({
    name: claim.metadata.name,
    persistentVolumeClaim: { claimName: `${claim.metadata.name}-${name}` },
  }));
  await admin("POST", `/api/v1/namespaces/${metadata.namespace}/pods`, {
    body: {
      metadata: {
        name,
        labels: {
          ...spec.template.metadata?.labels,
          [REVISION]: revision,
          "statefulset.kubernetes.io/pod-name": name,
          "apps.kubernetes.io/pod-index": String(ordinal),
        },
        annotations: spec.template.metadata?.annotations,
        ownerReferences: [ownerReference(set)],
      },
      spec: {
        ...spec.template.spec,
        hostname: name,
        subdomain: spec.serviceName,
        nodeName: node,
        volumes: [...(spec.template.spec.volumes ?? []), ...volumes],
      },
    },
  }).catch(unless("AlreadyExists"));
}

/** Named and labelled as in a cluster, and bound at once. */
async function createClaim(
  admin: Admin,
  { metadata, spec }: StatefulSet,
  { claim, pod }: { claim: ClaimTemplate; pod: string },
): Promise<void> {
  const name = `${claim.metadata.name}-${pod}`;
  const claims = `/api/v1/namespaces/${metadata.namespace}/persistentvolumeclaims`;
  const labels = { ...claim.metadata.labels, ...spec.selector.matchLabels };
  await admin("POST", claims, { body: { metadata: { name, labels }, spec: claim.spec } }).catch(
    unless("AlreadyExists"),
  );
  await admin("PATCH", `${claims}/${name}/status`, { body: { status: { phase: "Bound" } } });
}

function ownerReference({ metadata: { name, uid } }: StatefulSet): unknown {
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    name,
    uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

async function writeStatus(
  admin: Admin,
  { metadata, status: before }: StatefulSet,
  { revision, pods }: { revision: string; pods: readonly SetPod[] },
): Promise<void> {
  const count = (predicate: (pod: SetPod) => boolean) => pods.filter(predicate).length;
  const updated = count((pod) => pod.revision === revision);
  const status = {
    observedGeneration: metadata.generation,
    replicas: pods.length,
    readyReplicas: count(({ isReady }) => isReady),
    availableReplicas: count(({ isReady }) => isReady),
    updatedReplicas: updated,
    currentReplicas: updated,
    updateRevision: `${metadata.name}-${revision}`,
    ...(updated === pods.length ? { currentRevision: `${metadata.name}-${revision}` } : {}),
  };
  const held = (before ?? {}) as Readonly<Record<string, unknown>>;
  // The API server leaves out noughts.
  if (Object.entries(status).every(([field, value]) => (held[field] ?? 0) === value)) return;
  await admin(
    "PATCH",
    `/apis/apps/v1/namespaces/${metadata.namespace}/statefulsets/${metadata.name}/status`,
    {
      body: { status },
    },
  ).catch(unless("NotFound"));
}
