/**
 * Queue: store, bodies, leases, waking and marks behind one door.
 *
 * The hot path never reads the database back: what apply() made durable and due waits in memory (handout.ts).
 * Whatever else is due is read from the store, by index, when somebody takes it. The fence (fence.ts) keeps
 * those reads and changes under way from crossing.
 *
 * @module
 */
import type { Body } from "../../mail/message.ts";
import { type AdminVerbs, adminVerbs } from "./admin-verbs.ts";
import { type Bodies, DamagedBodyError } from "./bodies.ts";
import { type DiskUsage, watchDiskUsage } from "./disk-usage.ts";
import { Fence, idsOf } from "./fence.ts";
import type { Marks } from "./marks.ts";
import type { BodyWriter, Queue } from "./mod.ts";
import type { QueueOptions } from "./queue.ts";
import type { Change, QueueFilter, QueueItem, QueueKind, QueueStore, QueueSummary } from "./store.ts";
import { type DueListener, type TakeOptions, Taking } from "./taking.ts";

export interface QueueParts {
  readonly store: QueueStore;
  readonly bodies: Bodies;
  readonly marks: Marks;
  closeAll(): Promise<void>;
}

const MEMORY_BOUND = 64 * 1024 * 1024;
const UNSETTLED_PAUSE_MS = 30_000;

export class QueueRoom implements Queue {
  readonly store: QueueStore;
  readonly #options: QueueOptions;
  readonly #parts: QueueParts;
  readonly #taking: Taking;
  readonly #fence = new Fence();
  readonly #verbs: AdminVerbs;
  readonly #submission = new Set<string>();
  /** Suspended by an administrator while in hand; takes effect when the holder is done. */
  readonly #suspendLater = new Set<string>();
  /** In hand, and the change that should have settled them failed. */
  readonly #unsettled = new Set<string>();
  readonly #damagedFiles = new Set<string>();
  readonly #stopped = new AbortController();
  #closing: Promise<void> | undefined;
  #diskUsage: DiskUsage | undefined;

  constructor(options: QueueOptions, parts: QueueParts) {
    this.#options = options;
    this.#parts = parts;
    this.store = parts.store;
    const { clock, log, memoryBound = MEMORY_BOUND } = options;
    this.#taking = new Taking({ store: this.store, fence: this.#fence, clock, log, memoryBound });
    this.#verbs = adminVerbs({
      store: this.store,
      now: () => clock.now(),
      apply: (change) => this.apply(change),
      release: (ids) => this.release(ids),
      isInHand: (id) => this.#taking.leased(id) !== undefined || this.#fence.isChanging(id),
      lease: (item) => this.#taking.lease(item),
      suspendLater: this.#suspendLater,
      onRemove: options.onRemove,
    });
  }

  /** Finds what is there: ids of the submission queue, and per group whether something is due, or when. */
  async start(): Promise<void> {
    const { directory, clock } = this.#options;
    for (const { id } of await this.store.select({ queue: "Submission" })) this.#submission.add(id);
    for (const { queue, nextHop, nextDueAt } of await this.store.summary()) {
      if (nextDueAt === undefined) continue;
      if (nextDueAt > clock.now()) this.#taking.dueLater({ queue, nextHop }, nextDueAt);
      else this.#taking.dueInStore({ queue, nextHop });
    }
    const { signal } = this.#stopped;
    this.#diskUsage = await watchDiskUsage(directory, () => this.#parts.bodies.size(), { clock, signal });
  }

  writeBody(): BodyWriter {
    return this.#parts.bodies.writer();
  }

  /** A property: it is handed to other rooms as a function. */
  readonly readBody = (body: Body): AsyncIterable<Uint8Array> => this.#parts.bodies.read(body);

  discardBody(body: Body): void {
    this.#parts.bodies.discard(body);
  }

  async apply(asked: Change): Promise<void> {
    const change = this.#adjust(asked);
    const ids = idsOf(change);
    const forgotten = this.#taking.forget(ids);
    const held = this.#heldItems(change);
    this.#fence.begin(ids);
    try {
      await this.store.apply(change, held);
    } catch (error) {
      for (const place of forgotten) this.#taking.dueInStore(place);
      for (const id of ids) if (this.#taking.leased(id) !== undefined) this.#unsettled.add(id);
      void this.#offerAgain(ids);
      throw error;
    } finally {
      this.#fence.end(ids);
    }
    this.#settle(change);
    // An amendment does not say where its item stands: the store does.
    if (change.amend !== undefined) await this.#settleInStore(change.amend.map(({ id }) => id));
  }

  async take(queue: QueueKind, options: TakeOptions): Promise<readonly QueueItem[]> {
    return await this.#withSoundBodies(await this.#taking.take(queue, options));
  }

  async takeOverdue(options: { receivedBefore: number; limit: number }): Promise<readonly QueueItem[]> {
    return await this.#withSoundBodies(await this.#taking.takeOverdue(options));
  }

  release(ids: readonly string[]): void {
    for (const id of ids) {
      if (this.#unsettled.has(id)) this.releaseLater([id]);
      else this.#releaseNow(id);
    }
  }

  releaseLater(ids: readonly string[]): void {
    for (const id of ids) {
      this.#unsettled.delete(id);
      void this.#releaseAfterPause(id);
    }
  }

  onDue(listener: DueListener): void {
    this.#taking.onDue(listener);
  }

  mark(id: string): () => void {
    return this.#parts.marks.mark(id);
  }

  submissionLength(): number {
    return this.#submission.size;
  }

  diskUsed(): number {
    return this.#diskUsage?.used() ?? 0;
  }

  summary(): Promise<readonly QueueSummary[]> {
    return this.store.summary();
  }

  suspend(filter: QueueFilter): Promise<number> {
    return this.#verbs.suspend(filter);
  }

  resume(filter: QueueFilter): Promise<number> {
    return this.#verbs.resume(filter);
  }

  retry(filter: QueueFilter, options: { resubmit: boolean }): Promise<number> {
    return this.#verbs.retry(filter, options);
  }

  remove(filter: QueueFilter, options: { withDsn: boolean }): Promise<number> {
    return this.#verbs.remove(filter, options);
  }

  close(): Promise<void> {
    this.#taking.stop();
    this.#stopped.abort();
    this.#closing ??= this.#parts.closeAll();
    return this.#closing;
  }

  /** A body file turned out damaged: whoever has the message, its next change sends it to Poison. */
  noteDamaged(error: DamagedBodyError): void {
    this.#options.log.error({ err: error, file: error.file }, "damaged body file");
    this.#damagedFiles.add(error.file);
  }

  removeFiles(files: readonly string[]): void {
    for (const file of files) this.#damagedFiles.delete(file);
    this.#parts.bodies.remove(files);
  }

  /** What happened to an item while it was in hand, and its holder does not know. */
  #adjust(change: Change): Change {
    if (change.update === undefined) return change;
    if (this.#suspendLater.size === 0 && this.#damagedFiles.size === 0) return change;
    return { ...change, update: change.update.map((item) => this.#adjustItem(item)) };
  }

  #adjustItem(item: QueueItem): QueueItem {
    const { body, id } = item.message;
    if (body.kind === "file" && this.#damagedFiles.has(body.name)) {
      const lastError = "Its body file is damaged";
      return { ...item, queue: "Poison", nextHop: undefined, status: "Suspended", lastError };
    }
    return this.#suspendLater.has(id) ? { ...item, status: "Suspended" } : item;
  }

  /** What is in hand is on disk as it was handed out, unless its holder has another change under way. */
  #heldItems({ update = [] }: Change): ReadonlyMap<string, QueueItem> {
    const held = new Map<string, QueueItem>();
    for (const { message } of update) {
      const item = this.#fence.isChanging(message.id) ? undefined : this.#taking.leased(message.id);
      if (item !== undefined) held.set(message.id, item);
    }
    return held;
  }

  /** The change is on disk: leases end, and what is due can be taken. */
  #settle({ insert = [], update = [], remove = [] }: Change): void {
    for (const item of [...insert, ...update]) {
      const { id, body } = item.message;
      this.#endLease(id);
      if (item.queue === "Submission") this.#submission.add(id);
      else this.#submission.delete(id);
      this.#parts.bodies.claim(body);
      this.#taking.offer(item);
    }
    for (const id of remove) {
      this.#endLease(id);
      this.#submission.delete(id);
    }
  }

  #endLease(id: string): void {
    this.#taking.endLease(id);
    this.#suspendLater.delete(id);
    this.#unsettled.delete(id);
  }

  async #settleInStore(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    for (const { id, queue, nextHop, status } of await this.store.select({ ids })) {
      if (queue === "Submission") this.#submission.add(id);
      else this.#submission.delete(id);
      if (status !== "Suspended") this.#taking.dueInStore({ queue, nextHop });
    }
  }

  /** While their change was under way these were handed to nobody, and the change failed. */
  async #offerAgain(ids: readonly string[]): Promise<void> {
    try {
      await this.#settleInStore(ids.filter((id) => this.#taking.leased(id) === undefined));
    } catch (error) {
      this.#options.log.error({ err: error }, "messages of a failed change not offered again");
    }
  }

  #releaseNow(id: string): void {
    const item = this.#taking.endLease(id);
    if (item === undefined) return;
    if (this.#suspendLater.delete(id)) void this.#suspendNow(item);
    else this.#taking.offer(item);
  }

  /** The disk is full, say: handed out at once, a delivered message would be sent again and again. */
  async #releaseAfterPause(id: string): Promise<void> {
    const held = this.#taking.leased(id);
    try {
      await this.#options.clock.sleep(UNSETTLED_PAUSE_MS, this.#stopped.signal);
    } catch {
      return; // Closed: leases end with the process.
    }
    if (held === this.#taking.leased(id)) this.#releaseNow(id);
  }

  async #suspendNow({ message: { id } }: QueueItem): Promise<void> {
    try {
      await this.apply({ amend: [{ id, status: "Suspended" }] });
    } catch (error) {
      this.#options.log.error({ messageId: id, err: error }, "message could not be suspended");
    }
  }

  /** Sets aside what has lost its body: after a restart nobody has looked at the file yet. */
  async #withSoundBodies(items: readonly QueueItem[]): Promise<readonly QueueItem[]> {
    if (items.every(({ message }) => message.body.kind === "inline")) return items;
    const sound: QueueItem[] = [];
    for (const item of items) {
      try {
        await this.#parts.bodies.check(item.message.body);
        sound.push(item);
      } catch (error) {
        if (error instanceof DamagedBodyError) await this.#setAside(item, error);
        else sound.push(item); // Not known to be damaged: who reads it will see.
      }
    }
    return sound;
  }

  async #setAside(item: QueueItem, error: DamagedBodyError): Promise<void> {
    const { id } = item.message;
    try {
      const lastError = error.message;
      await this.apply({
        update: [{ ...item, queue: "Poison", nextHop: undefined, status: "Suspended", lastError }],
      });
      this.#options.log.error({ messageId: id, err: error }, "damaged message set aside in Poison");
    } catch (cause) {
      this.#options.log.error({ messageId: id, err: cause }, "damaged message not set aside");
      this.release([id]);
    }
  }
}
