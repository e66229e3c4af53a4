/**
 * QueueStore: the contract of a queue backend, in words. Every engine passes the same contract test.
 *
 * Durable: when apply() resolves, the change is on disk (fsync), body files and their folder included.
 * Atomic: a change happens as a whole or not at all. Group commit: changes that wait together share one flush.
 * At-least-once: after a crash every inserted and not removed item is there again, Ready or Retry as it was.
 *
 * @module
 */
import type { Message } from "../../mail/message.ts";
import type { NextHop } from "../../mail/next-hop.ts";

/** Exchange's queues. Delivery: one queue per nextHop.key. */
export type QueueKind = "Submission" | "Delivery" | "Unreachable" | "Poison" | "Quarantine";

export interface QueueItem {
  readonly message: Message;
  readonly queue: QueueKind;
  /** Only for Delivery. */
  readonly nextHop: NextHop | undefined;
  /** Ready: due at dueAt. Suspended: only resume makes it due. */
  readonly status: "Ready" | "Retry" | "Suspended";
  /** Milliseconds since 1970. */
  readonly dueAt: number;
  readonly expiresAt: number;
  /** Attempts made so far in this queue. */
  readonly attempts: number;
  /** A delay DSN was sent for it. */
  readonly delayNotified: boolean;
  readonly lastError: string | undefined;
  /** Crashes of the process while this message was being worked on. */
  readonly crashes: number;
}

/** What changes together, or not at all. An update carries the whole new item, found by message.id. */
export interface Change {
  readonly insert?: readonly QueueItem[];
  readonly update?: readonly QueueItem[];
  readonly remove?: readonly string[];
}

/** What `queue list` shows of an item, without header or body. */
export interface QueueItemSummary extends Omit<QueueItem, "message"> {
  readonly id: string;
  readonly networkMessageId: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly size: number;
  readonly receivedAt: number;
  readonly subject: string;
}

export interface QueueSummary {
  readonly queue: QueueKind;
  /** nextHop.key for Delivery, else "". */
  readonly nextHop: string;
  readonly messages: number;
  readonly retrying: number;
  readonly suspended: number;
  /** receivedAt of the oldest message. */
  readonly oldest: number | undefined;
  readonly nextDueAt: number | undefined;
  readonly lastError: string | undefined;
}

export interface DueQuery {
  readonly queue: QueueKind;
  /** nextHop.key; for Delivery only. */
  readonly nextHop?: string;
  readonly now: number;
  readonly limit: number;
  /** Ids not to return: they are being worked on. */
  readonly except: ReadonlySet<string>;
}

export interface QueueStore {
  apply(change: Change): Promise<void>;
  get(id: string): Promise<QueueItem | undefined>;
  /** Due items, by priority (High first), then dueAt, then id. */
  due(query: DueQuery): Promise<readonly QueueItem[]>;
  /** One row per queue and next hop; cheap (an index, no bodies). */
  summary(): Promise<readonly QueueSummary[]>;
  list(filter: {
    readonly queue?: QueueKind;
    readonly nextHop?: string;
    readonly sender?: string;
    readonly recipient?: string;
    readonly limit: number;
    readonly offset: number;
  }): Promise<readonly QueueItemSummary[]>;
  close(): Promise<void>;
}
