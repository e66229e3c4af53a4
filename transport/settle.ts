/**
 * Settle: what becomes of a queue item after an attempt, a failure or the passing of time. Pure.
 *
 * In: the item, an outcome for each recipient, the clock. Out: the item that stays (or none), the DSNs that are due
 * (RFC 3461 §5, never for the null reverse-path), and the tracking events.
 *
 * @module
 */

import { formatAddress } from "../mail/address.ts";
import type { DsnKind, DsnRecipient } from "../mail/dsn.ts";
import type { Recipient } from "../mail/message.ts";
import type { DeliveryResult, RecipientOutcome } from "./delivery/mod.ts";
import type { QueueItem } from "./queue/mod.ts";
import { delayNoticeIsDue, nextAttempt } from "./queue/mod.ts";
import { ofMessage, type TrackingEvent, type TrackingStep } from "./tracking.ts";

export type { DsnKind, DsnRecipient } from "../mail/dsn.ts";

export interface DsnRequest {
  readonly kind: DsnKind;
  readonly recipients: readonly DsnRecipient[];
}

export interface Settlement {
  /** The item as it goes on waiting, or undefined: it leaves the queue. */
  readonly keep: QueueItem | undefined;
  readonly dsns: readonly DsnRequest[];
  readonly events: readonly TrackingEvent[];
}

/** What came of an attempt, and with whom it was made. */
export type Attempt = Pick<DeliveryResult, "outcomes" | "remoteAddress" | "tls">;

export interface SettleSettings {
  readonly retryIntervalsMs: readonly number[];
  readonly delayNotificationMs: number;
}

/** What an attempt that is the last one is called. */
const ATTEMPT_EVENTS = {
  delivered: "DELIVER",
  relayed: "SEND",
  "relayed-no-dsn": "SEND",
  deferred: "FAIL",
  failed: "FAIL",
} as const;

const EXPIRED = { status: "4.4.7", text: "Message expired" };

/** After an attempt: recipients leave, or wait for the next one. */
export function settleAttempt(
  item: QueueItem,
  attempt: Attempt,
  settings: SettleSettings,
  now: number,
): Settlement {
  const { outcomes } = attempt;
  const of = (result: RecipientOutcome["result"]) => outcomes.filter((outcome) => outcome.result === result);
  const deferred = of("deferred");
  const expired = now >= item.expiresAt;
  const failed = [...of("failed"), ...(expired ? deferred : [])];
  const kept = expired ? undefined : keepDeferred(item, deferred, settings, now);
  const delayed = kept !== undefined && delayDue(item, settings, now);
  const attempted = (kind: DsnKind, tried: readonly RecipientOutcome[]) => {
    if (tried.length === 0) return undefined;
    return dsn(
      kind,
      tried.map((outcome) => ({ ...outcome, lastAttemptAt: now })),
    );
  };
  const dsns = [
    attempted("failed", failed),
    attempted("delivered", of("delivered")),
    attempted("relayed", of("relayed-no-dsn")),
    delayed ? attempted("delayed", deferred) : undefined,
  ];
  return {
    keep: kept === undefined ? undefined : { ...kept, delayNotified: item.delayNotified || delayed },
    dsns: wantedDsns(item, dsns),
    events: outcomes.map((outcome) => attemptEvent(item, attempt, outcome, expired)),
  };
}

/** Recipients that fail without an attempt: no route, a rule, an administrator. */
export function settleFailed(
  item: QueueItem,
  failed: readonly DsnRecipient[],
  source: TrackingStep["source"],
): Omit<Settlement, "keep"> {
  const events = failed.map(({ recipient, status, text }) => ({
    of: ofMessage(item.message),
    recipients: [formatAddress(recipient.address)],
    step: { event: "FAIL" as const, source, status, text },
  }));
  return { dsns: wantedDsns(item, [dsn("failed", failed)]), events };
}

/** An item whose time has come while it waited: it expires, or its sender hears of the delay. */
export function settleOverdue(item: QueueItem, settings: SettleSettings, now: number): Settlement {
  const all = item.message.envelope.recipients.map((recipient) => ({
    recipient,
    status: item.queue === "Unreachable" ? "5.4.4" : EXPIRED.status,
    text: item.lastError ?? EXPIRED.text,
    remoteMta: "",
  }));
  if (now >= item.expiresAt) return { keep: undefined, ...settleFailed(item, all, "QUEUE") };
  if (!delayDue(item, settings, now)) return { keep: item, dsns: [], events: [] };
  const delayed = all.map((entry) => ({ ...entry, status: "4.4.7" }));
  return {
    keep: { ...item, delayNotified: true },
    dsns: wantedDsns(item, [dsn("delayed", delayed)]),
    events: [],
  };
}

/** RFC 3461 §4.1: no NOTIFY means failures and delays are reported. */
export function wantsDsn(kind: DsnKind, { notify }: Recipient): boolean {
  if (notify === undefined) return kind === "failed" || kind === "delayed";
  if (kind === "failed") return notify.includes("FAILURE");
  if (kind === "delayed") return notify.includes("DELAY");
  return notify.includes("SUCCESS");
}

/** The requests that this sender and these recipients want to hear of. */
export function wantedDsns(item: QueueItem, requests: readonly (DsnRequest | undefined)[]): DsnRequest[] {
  // RFC 3461 §6.1, RFC 5321 §4.5.5: the null reverse-path gets no notification.
  if (item.message.envelope.sender === null) return [];
  return requests.flatMap((request) => {
    const recipients = request?.recipients.filter(({ recipient }) => wantsDsn(request.kind, recipient)) ?? [];
    return request === undefined || recipients.length === 0 ? [] : [{ kind: request.kind, recipients }];
  });
}

function dsn(kind: DsnKind, recipients: readonly DsnRecipient[]): DsnRequest {
  return { kind, recipients };
}

function keepDeferred(
  item: QueueItem,
  deferred: readonly RecipientOutcome[],
  { retryIntervalsMs }: SettleSettings,
  now: number,
): QueueItem | undefined {
  if (deferred.length === 0) return undefined;
  const attempts = item.attempts + 1;
  const { message } = item;
  const envelope = { ...message.envelope, recipients: deferred.map(({ recipient }) => recipient) };
  return {
    ...item,
    message: { ...message, envelope },
    status: "Retry",
    attempts,
    dueAt: nextAttempt({ attempts, now, retryIntervalsMs, expiresAt: item.expiresAt }),
    lastError: deferred[0]?.text,
  };
}

function delayDue(item: QueueItem, { delayNotificationMs }: SettleSettings, now: number): boolean {
  const { delayNotified, message } = item;
  return delayNoticeIsDue({ receivedAt: message.origin.receivedAt, now, delayNotificationMs, delayNotified });
}

function attemptEvent(
  item: QueueItem,
  { remoteAddress, tls }: Attempt,
  outcome: RecipientOutcome,
  expired: boolean,
): TrackingEvent {
  const isDeferred = outcome.result === "deferred" && !expired;
  return {
    of: ofMessage(item.message),
    recipients: [formatAddress(outcome.recipient.address)],
    step: {
      source: "SMTP",
      connector: item.nextHop?.connector ?? "",
      nextHop: item.nextHop?.key ?? "",
      status: outcome.status,
      text: outcome.text,
      remoteMta: outcome.remoteMta,
      event: isDeferred ? "DEFER" : ATTEMPT_EVENTS[outcome.result],
      attempts: isDeferred ? item.attempts + 1 : undefined,
      server: remoteAddress,
      tls,
    },
  };
}
