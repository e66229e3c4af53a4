/** What desired.ts is given and gives back. No code. */
import type { MailTransport } from "../crds/mod.ts";
import type { KubeObject, OwnerReference } from "../lib/kube/types.ts";
import type { Snapshot } from "../snapshot/mod.ts";

/** An object to be applied as it stands. */
export interface DesiredObject extends KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
}

export type Connectors = Pick<Snapshot, "receiveConnectors" | "sendConnectors">;

export interface DesiredInput {
  readonly transport: MailTransport;
  /** The newest compilation; undefined: there is none yet. */
  readonly snapshot: Connectors | undefined;
  /** What pods serve while the newest one is on trial, refused or held back: its ports stay open too. */
  readonly inForce?: Connectors | undefined;
  /** From decideDrain(). */
  readonly replicas: number;
  /** Secrets that the pods may read, by name. */
  readonly keysSecrets: readonly string[];
  readonly owner: OwnerReference;
  /** Image of transports that name none. */
  readonly defaults: { readonly image: string };
  /** The StatefulSet as it stands: what cannot be changed in it is kept. */
  readonly live: KubeObject | undefined;
  /** Volumes of the queues as they stand. */
  readonly claims: readonly QueueClaim[];
}

/** A PersistentVolumeClaim of a queue. */
export interface QueueClaim {
  readonly name: string;
  /** spec.resources.requests.storage. */
  readonly size: string;
}

export interface Desired {
  /** In the order they should be applied in: what pods need comes before the pods. */
  readonly objects: readonly DesiredObject[];
  /** Volumes to enlarge to `size`, before all else: a full disk holds up everything. */
  readonly growth: readonly QueueClaim[];
  /** What cannot be had as asked for, a sentence each; for TransportFacts.applyFaults. */
  readonly faults: readonly string[];
}
