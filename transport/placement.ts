/** Placement: from one outcome of the rules to copies in queues: rejected, dropped, quarantined, or routed. Pure. */
import { addressKey } from "../mail/address.ts";
import { type Message, messageSize, type Priority, type Recipient } from "../mail/message.ts";
import type { NextHop } from "../mail/next-hop.ts";
import { type FailedRecipient, type Routing, resolveRecipients } from "./categorizer/mod.ts";
import type { Pipeline } from "./pipeline.ts";
import { addressesOf, redirectEvent, transferEvent } from "./plan-events.ts";
import type { ContentEdit, PolicyCopy } from "./policy/mod.ts";
import type { QueueKind } from "./queue/mod.ts";
import type { DsnRecipient } from "./settle.ts";
import { ofMessage, type TrackingEvent } from "./tracking.ts";

export interface PlannedCopy {
  readonly queue: Extract<QueueKind, "Delivery" | "Unreachable" | "Quarantine">;
  readonly nextHop: NextHop | undefined;
  readonly recipients: readonly Recipient[];
  readonly edits: readonly ContentEdit[];
  readonly priority: Priority;
  readonly stamps: Readonly<Record<string, string>>;
  /** Why it waits: "No send connector for ...". */
  readonly reason: string | undefined;
}

/** Stamps that keep a resubmitted message from being judged twice. */
export const RULES_DONE = "Postroom-Rules-Done";
const ROUTE_OVERRIDE = "Postroom-Route-Connector";
const ROUTE_TLS = "Postroom-Route-TLS";
const NO_EDITS: readonly ContentEdit[] = [];

export interface PlacementContext {
  readonly pipeline: Pipeline;
  readonly explain?: boolean;
}

export interface Placed {
  readonly copies: readonly PlannedCopy[];
  readonly failed: readonly DsnRecipient[];
  readonly routings: readonly Routing[];
  readonly events: readonly TrackingEvent[];
}

/** From one rule outcome to copies in queues. */
export function placeCopy(message: Message, copy: PolicyCopy, context: PlacementContext): Placed {
  const nothing: Placed = { copies: [], failed: [], routings: [], events: [] };
  const { fate } = copy;
  if (fate.kind === "reject") {
    return {
      ...nothing,
      failed: copy.recipients.map((recipient) => dsnOf(recipient, fate.status, fate.text)),
    };
  }
  if (fate.kind === "delete") {
    const dropped: TrackingEvent = {
      of: ofMessage(message),
      recipients: addressesOf(copy.recipients),
      step: { event: "DROP", source: "AGENT", text: "Deleted by a transport rule" },
    };
    return { ...nothing, events: [dropped] };
  }
  if (fate.kind === "quarantine") {
    const kept = {
      ...planned(copy, "Quarantine", undefined, copy.recipients),
      reason: "Quarantined by a transport rule",
    };
    return { ...nothing, copies: [kept], events: [transferEvent(message, kept)] };
  }
  return routeCopy(message, copy, context);
}

function routeCopy(message: Message, copy: PolicyCopy, { pipeline, explain }: PlacementContext): Placed {
  const { domains, snapshot, router } = pipeline;
  const options = { domains, role: snapshot.transport.role, senderIsInternal: true };
  const added = copy.added.length > 0 ? resolveRecipients(copy.added, options) : undefined;
  const recipients = unique(
    added === undefined ? copy.recipients : [...copy.recipients, ...added.recipients],
  );
  const facts = {
    size: messageSize(message),
    requireTls: copy.requireTls,
    connectorOverride: copy.connectorOverride,
  };
  const routing = router.route(recipients, facts, { explain: explain ?? false });
  const copies = routing.routes.map((route) => planned(copy, "Delivery", route.nextHop, route.recipients));
  if (routing.unreachable.length > 0) {
    const reason = `No send connector for ${[...new Set(routing.unreachable.map(({ address }) => address.domain))].join(", ")}`;
    copies.push({ ...planned(copy, "Unreachable", undefined, routing.unreachable), reason });
  }
  return {
    copies,
    failed: [...routing.failed, ...(added?.failed ?? [])].map(toDsnRecipient),
    routings: [routing],
    events: [
      ...copies.map((placed) => transferEvent(message, placed)),
      ...(added === undefined ? [] : [redirectEvent(message, copy, added)]),
    ],
  };
}

export function planned(
  copy: PolicyCopy,
  queue: PlannedCopy["queue"],
  nextHop: NextHop | undefined,
  recipients: readonly Recipient[],
): PlannedCopy {
  const { edits, requireTls, priority, connectorOverride } = copy;
  const route = connectorOverride === undefined ? {} : { [ROUTE_OVERRIDE]: connectorOverride };
  // REQUIRETLS is the sender's word and stays in the envelope as it is; a rule's wish is this transport's own.
  const tls = requireTls ? { [ROUTE_TLS]: "required" } : {};
  const stamps = { ...copy.stamps, [RULES_DONE]: "yes", ...route, ...tls };
  return { queue, nextHop, recipients, edits, priority, stamps, reason: undefined };
}

export function unjudged(message: Message, recipients: readonly Recipient[]): PolicyCopy {
  return {
    recipients,
    edits: NO_EDITS,
    fate: { kind: "deliver" },
    connectorOverride: message.stamps[ROUTE_OVERRIDE],
    requireTls: message.envelope.requireTls || message.stamps[ROUTE_TLS] !== undefined,
    priority: message.priority,
    stamps: message.stamps,
    added: [],
  };
}

function unique(recipients: readonly Recipient[]): readonly Recipient[] {
  if (recipients.length < 2) return recipients;
  return [...new Map(recipients.map((recipient) => [addressKey(recipient.address), recipient])).values()];
}

export function dsnOf(recipient: Recipient, status: string, text: string): DsnRecipient {
  return { recipient, status, text, remoteMta: "" };
}

export function toDsnRecipient({ recipient, status, text }: FailedRecipient): DsnRecipient {
  return dsnOf(recipient, status, text);
}
