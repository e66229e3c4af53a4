/** What passes between the files of the operator: objects as held in memory, decisions as data. No code. */
import type { Condition } from "../crds/conditions.ts";
import type { Revision, TransportPodStatus, TransportSnapshotSpec } from "../crds/delivery-kinds.ts";
import type { AnyResource } from "../crds/mod.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import type { ObjectMeta } from "../lib/kube/types.ts";

/** One object of the five kinds, read by its schema once per generation. */
export interface HeldObject {
  /** namespace/name. */
  readonly key: string;
  readonly kind: AnyResource["kind"];
  readonly metadata: ObjectMeta;
  /** The very same value for as long as the generation is the same; undefined: it has faults. */
  readonly resource: AnyResource | undefined;
  /** Faults of the object alone, that schema and CEL let through. */
  readonly faults: readonly Diagnostic[];
  readonly status: ResourceStatus | undefined;
}

/** Status of a child: ReceiveConnector, SendConnector, AcceptedDomain, TransportRule. */
export interface ResourceStatus {
  readonly observedGeneration?: number;
  readonly conditions?: readonly Condition[];
  /** namespace/name of the transports it attaches to, by name. */
  readonly transports?: readonly string[];
}

export interface TransportStatus extends ResourceStatus {
  /** For the scale subresource. */
  readonly replicas?: number;
  readonly readyReplicas?: number;
  readonly selector?: string;
  readonly snapshot?: {
    readonly revision: number;
    readonly digest: string;
    /** "2/3": ready pods that serve it, of ready pods. */
    readonly acknowledged: string;
    /** Octets of all its chunks, compressed. */
    readonly bytes: number;
    /** Objects that are not in force as written. */
    readonly rejected: number;
    readonly counts: Readonly<Record<string, number>>;
  };
  readonly queue?: {
    readonly messages: number;
    readonly oldestMessageTime?: string;
    readonly setAside: number;
  };
}

/** A TransportPod with what is known of its Pod. */
export interface PodFacts {
  readonly name: string;
  /** The Pod exists, is Ready and is not being deleted. */
  readonly ready: boolean;
  /** The Pod exists at all. */
  readonly exists: boolean;
  readonly drain: boolean;
  readonly status: TransportPodStatus | undefined;
}

/** What the operator wants to be in force: the newest compilation. */
export type Target = Pick<Revision, "digest" | "keys">;

export interface RolloutInput {
  readonly head: TransportSnapshotSpec | undefined;
  /** undefined: nothing can be compiled; the head stays. */
  readonly target: Target | undefined;
  readonly pods: readonly PodFacts[];
  /** spec.rollbackTo. */
  readonly rollbackTo: number | undefined;
  /** ms since 1970. */
  readonly now: number;
}

export interface RolloutDecision {
  /** The head to write; the very same value as RolloutInput.head when nothing is to be written; undefined: none yet. */
  readonly head: TransportSnapshotSpec | undefined;
  readonly state: RolloutState;
  /** Look again after this many ms even if nothing happens (a canary that says nothing). */
  readonly againAfterMs?: number;
}

/** How far the target has come. */
export type RolloutState =
  | { readonly phase: "Nothing" }
  /** On trial in one pod. */
  | { readonly phase: "Canary"; readonly revision: number; readonly pod: string }
  /** Named by the head; ready pods that have not answered yet. */
  | { readonly phase: "Waiting"; readonly revision: number; readonly pods: readonly string[] }
  /** No ready pod, so nobody to answer. */
  | { readonly phase: "NoPods"; readonly revision: number }
  /** Every ready pod serves the target. */
  | { readonly phase: "Done"; readonly revision: number }
  /** A pod refused the target; `revision` is what stays in force. */
  | {
      readonly phase: "Refused";
      readonly revision: number;
      readonly refused: NonNullable<TransportSnapshotSpec["refused"]>;
    }
  /** spec.rollbackTo holds `revision`; undefined: there is no such revision any more. */
  | { readonly phase: "Pinned"; readonly revision: number | undefined; readonly wanted: number };

/** Whether one child's present form is in force in all ready pods of one transport. */
export type ProgrammedFacts =
  | { readonly status: "True" }
  | { readonly status: "False" | "Unknown"; readonly reason: string; readonly message: string };

export interface ChildFacts {
  readonly object: HeldObject;
  /** One entry for each transport it attaches to (or wants to). Empty: it attaches to none. */
  readonly transports: readonly {
    /** namespace/name. */
    readonly name: string;
    /** Of this object, from this transport's compilation. */
    readonly diagnostics: readonly Diagnostic[];
    readonly programmed: ProgrammedFacts;
  }[];
  /** Said of it by no transport: TransportNotFound, NotAllowedByTransport. */
  readonly diagnostics: readonly Diagnostic[];
  /** RFC 3339. */
  readonly now: string;
}

export interface TransportFacts {
  readonly object: HeldObject;
  readonly diagnostics: readonly Diagnostic[];
  readonly rollout: RolloutState;
  readonly pods: readonly PodFacts[];
  readonly snapshot:
    | {
        readonly revision: number;
        readonly digest: string;
        readonly bytes: number;
        readonly rejected: number;
        readonly counts: Readonly<Record<string, number>>;
      }
    | undefined;
  /** Replicas that the StatefulSet has and that are ready. */
  readonly workload:
    | { readonly replicas: number; readonly readyReplicas: number; readonly selector: string }
    | undefined;
  /** Owned objects that could not be written: "Service hub exists and is not ours". */
  readonly applyFaults: readonly string[];
  readonly drain: DrainState;
  readonly now: string;
}

/** What the drain of pods that must go has come to. */
export type DrainState =
  | { readonly phase: "None" }
  | {
      readonly phase: "Draining";
      /** Deleting: the whole MailTransport goes; ScaleDown: the highest pods do. */
      readonly cause: "Deleting" | "ScaleDown";
      readonly pods: readonly { readonly name: string; readonly messages: number | undefined }[];
    };

export interface DrainInput {
  readonly deleting: boolean;
  /** spec.replicas. */
  readonly wanted: number;
  /** Replicas of the StatefulSet as it stands; undefined: there is none. */
  readonly present: number | undefined;
  readonly pods: readonly PodFacts[];
  readonly transport: string;
}

export interface DrainDecision {
  /** Replicas that the StatefulSet shall have now. */
  readonly replicas: number;
  /** Names of the TransportPods that shall exist -> drain. */
  readonly pods: ReadonlyMap<string, boolean>;
  readonly state: DrainState;
  /** Deleting, and no pod holds mail: the finalizer may go. */
  readonly finished: boolean;
}
