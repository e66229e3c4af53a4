/**
 * Item codec: a QueueItem as a row of flat values and octets, and back.
 *
 * Rows cross the thread boundary as flat arrays, and all octets of a batch in one transferred buffer:
 * both cost a fraction of a structured clone of objects.
 *
 * @module
 */
import { formatAddress, formatPath } from "../../mail/address.ts";
import { formatHeader, headerValues, parseHeader } from "../../mail/header.ts";
import { type Body, type Message, messageSize, type Priority } from "../../mail/message.ts";
import type { NextHop } from "../../mail/next-hop.ts";
import type { QueueItem, QueueItemSummary, QueueKind } from "./store.ts";

export type Value = string | number | null;

/** Columns of the table `items`, in the order of encodeItem. The last FIXED_COLUMNS never change. */
export const ITEM_COLUMNS = [
  "queue",
  "next_hop",
  "next_hop_details",
  "status",
  "due_at",
  "expires_at",
  "attempts",
  "delay_notified",
  "priority",
  "last_error",
  "crashes",
  "sender",
  "recipients",
  "size",
  "subject",
  "details",
  "body_file",
  "body_size",
  "network_id",
  "received_at",
  "id",
] as const;
export const FIXED_COLUMNS = 3;

/** Columns of a listing, in the order of decodeSummary. */
export const SUMMARY_COLUMNS = [
  "queue",
  "next_hop_details",
  "status",
  "due_at",
  "expires_at",
  "attempts",
  "delay_notified",
  "last_error",
  "crashes",
  "sender",
  "recipients",
  "size",
  "subject",
  "network_id",
  "received_at",
  "id",
] as const;

export type Row = readonly (Value | Uint8Array)[];

const PRIORITIES: readonly Priority[] = ["High", "Normal", "Low"];
const STATUSES: readonly string[] = ["Ready", "Retry", "Suspended"];
const SUBJECT_LIMIT = 200;

/** A row cannot be read as an item: someone or something damaged it. */
export class DamagedItemError extends Error {
  override readonly name = "DamagedItemError";
  readonly id: string;

  constructor(id: string, options?: ErrorOptions) {
    super(`Cannot read message "${id}": its row is damaged`, options);
    this.id = id;
  }
}

export function encodeItem(item: QueueItem): Value[] {
  const { message, nextHop } = item;
  const { envelope, origin, stamps, body } = message;
  return [
    item.queue,
    nextHop?.key ?? "",
    nextHop === undefined ? null : JSON.stringify(nextHop),
    item.status,
    item.dueAt,
    item.expiresAt,
    item.attempts,
    item.delayNotified ? 1 : 0,
    PRIORITIES.indexOf(message.priority),
    item.lastError ?? null,
    item.crashes,
    formatPath(envelope.sender),
    envelope.recipients.map((recipient) => formatAddress(recipient.address)).join("\n"),
    messageSize(message),
    subjectOf(message),
    JSON.stringify({ envelope, origin, stamps }),
    body.kind === "file" ? body.name : null,
    body.size,
    message.networkMessageId,
    origin.receivedAt,
    message.id,
  ];
}

/** The header block as octets in a latin1 string. */
export function encodeHeader(message: Message): string {
  return formatHeader(message.header);
}

/** From ITEM_COLUMNS, then header and body octets. Throws DamagedItemError. */
export function decodeItem(row: Row): QueueItem {
  const value = (column: (typeof ITEM_COLUMNS)[number]) => row[ITEM_COLUMNS.indexOf(column)];
  const id = String(value("id"));
  try {
    const { envelope, origin, stamps } = JSON.parse(textOf(value("details")));
    if (!Array.isArray(envelope.recipients)) throw new TypeError("The envelope has no recipients");
    const message: Message = {
      id,
      networkMessageId: textOf(value("network_id")),
      envelope,
      origin,
      header: parseHeader(latin1Of(row[ITEM_COLUMNS.length])),
      body: bodyOf(value("body_file"), value("body_size"), row[ITEM_COLUMNS.length + 1]),
      priority: oneOf(PRIORITIES, Number(value("priority"))),
      stamps,
    };
    return {
      message,
      queue: textOf(value("queue")) as QueueKind,
      nextHop: nextHopOf(value("next_hop_details")),
      status: statusOf(value("status")),
      dueAt: Number(value("due_at")),
      expiresAt: Number(value("expires_at")),
      attempts: Number(value("attempts")),
      delayNotified: value("delay_notified") === 1,
      lastError: optionalText(value("last_error")),
      crashes: Number(value("crashes")),
    };
  } catch (cause) {
    throw new DamagedItemError(id, { cause });
  }
}

/** From SUMMARY_COLUMNS. Never throws: a listing shows damaged rows too. */
export function decodeSummary(row: Row): QueueItemSummary {
  const value = (column: (typeof SUMMARY_COLUMNS)[number]) => row[SUMMARY_COLUMNS.indexOf(column)];
  return {
    id: String(value("id")),
    networkMessageId: String(value("network_id")),
    queue: String(value("queue")) as QueueKind,
    nextHop: readableNextHop(value("next_hop_details")),
    status: String(value("status")) as QueueItem["status"],
    dueAt: Number(value("due_at")),
    expiresAt: Number(value("expires_at")),
    attempts: Number(value("attempts")),
    delayNotified: value("delay_notified") === 1,
    lastError: optionalText(value("last_error")),
    crashes: Number(value("crashes")),
    sender: String(value("sender")),
    recipients: String(value("recipients")).split("\n"),
    size: Number(value("size")),
    receivedAt: Number(value("received_at")),
    subject: String(value("subject")),
  };
}

/** The same listing made from a whole item. */
export function summaryOf(item: QueueItem): QueueItemSummary {
  const { message, ...state } = item;
  return {
    ...state,
    id: message.id,
    networkMessageId: message.networkMessageId,
    sender: formatPath(message.envelope.sender),
    recipients: message.envelope.recipients.map((recipient) => formatAddress(recipient.address)),
    size: messageSize(message),
    receivedAt: message.origin.receivedAt,
    subject: subjectOf(message),
  };
}

// RFC 6532 §3.2 allows raw UTF-8 in a subject; encoded words stay as they are.
function subjectOf(message: Message): string {
  const subject = (headerValues(message.header, "Subject")[0] ?? "").slice(0, SUBJECT_LIMIT);
  return /[^\x00-\x7f]/.test(subject) ? Buffer.from(subject, "latin1").toString("utf8") : subject;
}

function bodyOf(
  file: Row[number] | undefined,
  size: Row[number] | undefined,
  octets: Row[number] | undefined,
): Body {
  if (typeof size !== "number") throw new TypeError("The body has no size");
  if (typeof file === "string") return { kind: "file", name: file, size };
  if (!(octets instanceof Uint8Array) || octets.length !== size) {
    throw new TypeError("The body does not have the size noted for it");
  }
  return { kind: "inline", bytes: octets, size };
}

function nextHopOf(value: Row[number] | undefined): NextHop | undefined {
  return value === null ? undefined : (JSON.parse(textOf(value)) as NextHop);
}

function readableNextHop(value: Row[number] | undefined): NextHop | undefined {
  try {
    return nextHopOf(value);
  } catch {
    return undefined;
  }
}

function statusOf(value: Row[number] | undefined): QueueItem["status"] {
  return oneOf(STATUSES, STATUSES.indexOf(textOf(value))) as QueueItem["status"];
}

function oneOf<Choice>(choices: readonly Choice[], index: number): Choice {
  const choice = choices[index];
  if (choice === undefined) throw new TypeError("A column holds an unknown word");
  return choice;
}

function textOf(value: Row[number] | undefined): string {
  if (typeof value !== "string") throw new TypeError("A column that holds text does not");
  return value;
}

function optionalText(value: Row[number] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function latin1Of(value: Row[number] | undefined): string {
  if (!(value instanceof Uint8Array)) throw new TypeError("The header block is missing");
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("latin1");
}
