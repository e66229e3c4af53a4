/**
 * Conditions of every kind's status, as Gateway API has them, and their reasons. Constants only: who sets them is the operator.
 *
 * Accepted, ResolvedRefs, Programmed and Ready are always present once an object was seen; Conflicted, PartiallyInvalid,
 * Draining, Reconciling and Stalled only while they are True. A child's status never holds a revision number: one changed
 * rule would otherwise be ten thousand writes.
 *
 * @module
 */
export interface Condition {
  readonly type: ConditionType;
  readonly status: "True" | "False" | "Unknown";
  /** CamelCase, one of REASON or the reason of a Diagnostic. */
  readonly reason: string;
  /** Names object, field and mend; "" when there is nothing to say. At most 32 KiB. */
  readonly message: string;
  /** metadata.generation that was looked at. */
  readonly observedGeneration: number;
  /** RFC 3339, seconds; changes only with `status`. */
  readonly lastTransitionTime: string;
}

export const CONDITION = {
  /** The object is right in itself and attached to a transport. */
  accepted: "Accepted",
  /** Every Secret and object it names exists and fits. */
  resolvedRefs: "ResolvedRefs",
  /** Every ready pod of every transport it attaches to has it in force. */
  programmed: "Programmed",
  /** The summary that `kubectl wait`, kstatus and Argo CD read. */
  ready: "Ready",
  /** It lost a claim to an older object. */
  conflicted: "Conflicted",
  /** Its last good form, or a part of it, is in force ("Fall Back: ..."), or none is ("Dropped: ..."). */
  partiallyInvalid: "PartiallyInvalid",
  /** Pods hold mail that must leave before they go. */
  draining: "Draining",
  /** kstatus: work is under way. */
  reconciling: "Reconciling",
  /** kstatus: it will not heal without an edit. */
  stalled: "Stalled",
} as const;
export type ConditionType = (typeof CONDITION)[keyof typeof CONDITION];

/** Conditions that are left out unless they are True. */
export const NEGATIVE_CONDITIONS: ReadonlySet<ConditionType> = new Set([
  CONDITION.conflicted,
  CONDITION.partiallyInvalid,
  CONDITION.draining,
  CONDITION.reconciling,
  CONDITION.stalled,
]);

export const REASON = {
  accepted: "Accepted",
  resolvedRefs: "ResolvedRefs",
  programmed: "Programmed",
  ready: "Ready",
  disabled: "Disabled",
  invalid: "Invalid",
  notAllowedByTransport: "NotAllowedByTransport",
  transportNotFound: "TransportNotFound",
  conflicted: "Conflicted",
  secretNotFound: "SecretNotFound",
  secretKeyNotFound: "SecretKeyNotFound",
  invalidCertificate: "InvalidCertificate",
  connectorNotFound: "ConnectorNotFound",
  /** Not yet compiled or delivered. */
  pending: "Pending",
  /** Delivered; some pods have not answered. */
  awaitingAck: "AwaitingAck",
  /** A pod refused the snapshot; the earlier one stays in force. */
  nacked: "Nacked",
  /** There is no ready pod. */
  noPods: "NoPods",
  /** spec.rollbackTo holds an earlier revision in force. */
  pinned: "Pinned",
  /** An owned object exists and belongs to somebody else, or could not be written. */
  applyFailed: "ApplyFailed",
  draining: "Draining",
  progressing: "Progressing",
} as const;
