/**
 * QueueStore: the contract of a queue backend, in words. Every engine passes the same contract test.
 *
 * Durable: when apply() resolves, the change is on disk (fsync), body files and their folder included. What is in no
 * hurry (ApplyOptions) may be flushed later, never out of order.
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

/**
 * What changes together, or not at all; in the order insert, update, amend, remove.
 * An update carries the whole new item, found by message.id; one that is not there fails the change.
 * An amendment or a removal of an item that is not there does nothing.
 */
export interface Change {
  readonly insert?: readonly QueueItem[];
  readonly update?: readonly QueueItem[];
  readonly amend?: readonly Amendment[];
  readonly remove?: readonly string[];
}

/** Changes only the fields it names: what administrators and crash counts need, without reading the message. */
export interface Amendment {
  readonly id: string;
  /** Leaves its queue for this one; the next hop is cleared. */
  readonly queue?: Exclude<QueueKind, "Delivery">;
  readonly status?: QueueItem["status"];
  readonly dueAt?: number;
  readonly attempts?: number;
  readonly crashes?: number;
  readonly lastError?: string;
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

/** Which messages an administrator means; all that is given must hold, nothing given means every message. */
export interface QueueFilter {
  readonly ids?: readonly string[];
  readonly queue?: QueueKind;
  readonly nextHop?: string;
}

/** Where an item stands, and nothing more. */
export interface ItemPlace {
  readonly id: string;
  readonly queue: QueueKind;
  /** nextHop.key for Delivery, else "". */
  readonly nextHop: string;
  readonly status: QueueItem["status"];
}

export interface ApplyOptions {
  /**
   * False: nobody waits for it, so it may wait some milliseconds to go with others. What inserts nothing may be written
   * without a flush: it outlives the process at once and a power failure within a second. A removal that a power
   * failure undoes brings the item back, and a delivered message is delivered twice. Left out: true.
   */
  readonly hurry?: boolean;
}

export interface QueueStore {
  /**
   * `held`: items as the store holds them now, by id, where the caller is sure of it. Octets of an update that
   * are the very same objects need not be written again.
   */
  apply(change: Change, held?: ReadonlyMap<string, QueueItem>, options?: ApplyOptions): Promise<void>;
  get(id: string): Promise<QueueItem | undefined>;
  /** Due items, by priority (High first), then dueAt, then id. */
  due(query: DueQuery): Promise<readonly QueueItem[]>;
  /** Items of Submission, Delivery and Unreachable past expiresAt, or received before `receivedBefore` and not delayNotified. */
  overdue(query: {
    readonly now: number;
    readonly receivedBefore: number;
    readonly limit: number;
    readonly except: ReadonlySet<string>;
  }): Promise<readonly QueueItem[]>;
  /** When the next item of a queue falls due after `after`, status Suspended left aside. */
  nextDue(query: { queue: QueueKind; nextHop: string; after: number }): Promise<number | undefined>;
  /** The places of all items that a filter means, oldest id first. */
  select(filter: QueueFilter): Promise<readonly ItemPlace[]>;
  /** Every body file that an item names, once. */
  bodyFiles(): Promise<readonly { readonly name: string; readonly size: number }[]>;
  /** One row per queue and next hop; cheap (an index, no bodies). */
  summary(): Promise<readonly QueueSummary[]>;
  /** By id. Sender and recipient are whole addresses, compared without case; the sender "" is the null reverse-path. */
  list(filter: {
    readonly queue?: QueueKind;
    readonly nextHop?: string;
    readonly sender?: string;
    readonly recipient?: string;
    readonly networkMessageId?: string;
    readonly limit: number;
    readonly offset: number;
  }): Promise<readonly QueueItemSummary[]>;
  close(): Promise<void>;
}

/** What a store tells the queue that opened it. */
export interface StoreEvents {
  /** Body files that no item names any more, after the change that let go of them is durable. */
  onUnnamed(files: readonly string[]): void;
  /** An item could not be read; it was set aside in Poison. */
  onDamaged(id: string, cause: unknown): void;
  /** Writing failed, or the engine died. Changes that failed are rejected as well. */
  onFault(error: Error): void;
}
