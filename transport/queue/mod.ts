/** Door of the queue room. The types stand; `openQueue` is the way in. */
import type { Body } from "../../mail/message.ts";
import type {
  ApplyOptions,
  Change,
  QueueFilter,
  QueueItem,
  QueueKind,
  QueueStore,
  QueueSummary,
} from "./store.ts";

export { openAdmin, type QueueAdmin } from "./admin.ts";
export { createPressure, type Pressure, type PressureLevel, type PressureReading } from "./back-pressure.ts";
export { DamagedBodyError } from "./bodies.ts";
export { QueueLockedError } from "./lock.ts";
export { openMemoryStore } from "./memory-store.ts";
export { openQueue, type QueueLog, type QueueOptions } from "./queue.ts";
export { delayNoticeIsDue, hasExpired, nextAttempt } from "./schedule.ts";
export { QueueStoreError } from "./sqlite-store.ts";
export type {
  Amendment,
  ApplyOptions,
  Change,
  QueueFilter,
  QueueItem,
  QueueItemSummary,
  QueueKind,
  QueueStore,
  QueueSummary,
} from "./store.ts";

/** Takes the octets of one body: in memory up to the inline limit (32 KiB), beyond it on disk. */
export interface BodyWriter {
  /** Resolves when more may be written. Keeps the chunk: do not write to it again. Never fails: finish() does. */
  write(chunk: Uint8Array): Promise<void> | undefined;
  /** Ends; resolves when what goes to disk is flushed. */
  finish(): Promise<Body>;
  abort(): void;
}

/**
 * The queue as the transport uses it: the store, bodies, leases and waking.
 * A taken item is leased: nobody else gets it until its change is applied or release() is called. Leases die with the process.
 */
export interface Queue {
  writeBody(): BodyWriter;
  /** The body's octets; a new stream each call. */
  readBody(body: Body): AsyncIterable<Uint8Array>;
  /** Forgets a finished body that no item will name: its message was refused after all. */
  discardBody(body: Body): void;
  /**
   * Durable when it resolves. Items inserted Ready are kept in memory (up to a bound) so that take() need not read them
   * back. An inline body beyond the inline limit is put on disk first, and the row names it there.
   */
  apply(change: Change, options?: ApplyOptions): Promise<void>;
  /**
   * Like apply({ update: [item] }) for an item in hand, except that the write may wait a moment: after a crash the
   * item may be as it was before. For what can be decided again. An inline body of any size waits with it, in memory.
   * Undefined: done, as far as this process sees.
   */
  passOn(item: QueueItem): Promise<void> | undefined;
  /** Up to `limit` due items, leased. */
  take(queue: QueueKind, options: { nextHop?: string; limit: number }): Promise<readonly QueueItem[]>;
  /** Items of Submission, Delivery and Unreachable past expiresAt, or received before `receivedBefore` and not delayNotified; leased. */
  takeOverdue(options: { receivedBefore: number; limit: number }): Promise<readonly QueueItem[]>;
  /** Gives a lease back without a change. */
  release(ids: readonly string[]): void;
  /** Gives back, after a pause, the leases of what its holder failed to settle. Resolves after the pause. */
  releaseLater(ids: readonly string[]): Promise<void>;
  /** Called when something became due in a queue (after apply, by time, after resume); at once for what is due at the call. */
  onDue(listener: (queue: QueueKind, nextHop: string) => void): void;
  /** Called before retry() reaches messages of a next hop: whatever holds it back now was said before. */
  onRetry(listener: (nextHop: string) => void): void;
  /** Marks a message as being worked on, so that a crash is counted; call the result when done. No fsync: it survives the process, not the machine. */
  mark(id: string): () => void;
  /** Inserted and not yet categorized; for back pressure. Exact, from memory. */
  submissionLength(): number;
  /** Octets used by the queue's folder, as last measured. */
  diskUsed(): number;
  summary(): Promise<readonly QueueSummary[]>;
  store: QueueStore;
  /** Administrator's verbs, for the command line. Each resolves to the number of messages touched. */
  suspend(filter: QueueFilter): Promise<number>;
  resume(filter: QueueFilter): Promise<number>;
  /** Due now. `resubmit` sends them to the categorizer again; quarantined and poison messages are released that way. */
  retry(filter: QueueFilter, options: { resubmit: boolean }): Promise<number>;
  /** Removes; items in hand are left alone. `withDsn`: their senders hear of it (onRemove of openQueue). */
  remove(filter: QueueFilter, options: { withDsn: boolean }): Promise<number>;
  /** Stops taking, waits for running commits, closes. */
  close(): Promise<void>;
}
