/** The queue's volumes: the template that a StatefulSet cannot change, and the volumes that grow beside it. Pure. */
import { parseQuantity } from "../crds/common.ts";
import type { MailTransport } from "../crds/mod.ts";
import type { KubeObject } from "../lib/kube/types.ts";
import type { Desired, QueueClaim } from "./desired-types.ts";
import { type Labels, labelsOf } from "./labels.ts";

export const QUEUE_VOLUME = "queue";

export interface ClaimTemplate {
  readonly metadata: { readonly name: string; readonly labels: Labels };
  readonly spec: {
    readonly accessModes: readonly string[];
    readonly storageClassName?: string;
    readonly resources: { readonly requests: { readonly storage: string } };
  };
}

export interface StoragePlan extends Pick<Desired, "growth" | "faults"> {
  readonly template: ClaimTemplate;
}

/** The live StatefulSet keeps its template, else no change of it could be applied any more. */
export function planStorage(
  { spec, metadata }: MailTransport,
  live: KubeObject | undefined,
  claims: readonly QueueClaim[],
): StoragePlan {
  const { size, storageClassName } = spec.queue.storage;
  const before = liveTemplate(live);
  const wanted = parseQuantity(size);
  const own = claims.filter(({ name }) => name.startsWith(`${QUEUE_VOLUME}-${metadata.name}-`));
  const larger = own.find((claim) => parseQuantity(claim.size) > wanted);
  const faults: string[] = [];
  if (larger !== undefined) {
    faults.push(
      `spec.queue.storage.size: volume ${larger.name} has ${larger.size}, and no volume shrinks to ${size}: write ${larger.size} or more`,
    );
  }
  if (before !== undefined && before.storageClassName !== storageClassName) {
    faults.push(
      `spec.queue.storage.storageClassName: the volumes exist with ${before.storageClassName ?? "the cluster's default"} and stay so: take the change back, or make a new MailTransport`,
    );
  }
  return {
    template: template(metadata.name, before ?? { size, storageClassName }),
    growth: own.filter((claim) => parseQuantity(claim.size) < wanted).map(({ name }) => ({ name, size })),
    faults,
  };
}

interface Volume {
  readonly size: string;
  readonly storageClassName: string | undefined;
}

/** The labels reach the volumes, which are watched by them. Nothing here may ever change: the API server refuses it. */
function template(transport: string, { size, storageClassName }: Volume): ClaimTemplate {
  return {
    metadata: { name: QUEUE_VOLUME, labels: labelsOf(transport) },
    spec: {
      accessModes: ["ReadWriteOnce"],
      ...(storageClassName !== undefined && { storageClassName }),
      resources: { requests: { storage: size } },
    },
  };
}

function liveTemplate(live: KubeObject | undefined): Volume | undefined {
  const { volumeClaimTemplates = [] } = (live?.spec ?? {}) as { volumeClaimTemplates?: ClaimTemplate[] };
  const found = volumeClaimTemplates.find(({ metadata }) => metadata.name === QUEUE_VOLUME)?.spec;
  return found && { size: found.resources.requests.storage, storageClassName: found.storageClassName };
}
