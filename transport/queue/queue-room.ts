/**
 * Queue: store, bodies, leases, waking and marks behind one door.
 *
 * The hot path never reads the database back: what apply() made durable and due waits in memory (handout.ts).
 * Whatever else is due is read from the store, by index, when somebody takes it. The fence (fence.ts) keeps
 * those reads and changes under way from crossing.
 *
 * @module
 */
import { SteadySet } from "../../lib/steady-map.ts";
import type { Body } from "../../mail/message.ts";
import { type AdminVerbs, adminVerbs, type RetryNews } from "./admin-verbs.ts";
import type { Bodies, DamagedBodyError } from "./bodies.ts";
import { type DiskUsage, watchDiskUsage } from "./disk-usage.ts";
import { Fence, idsOf } from "./fence.ts";
import { LateBodies } from "./late-bodies.ts";
import type { Marks } from "./marks.ts";
import { Meanwhile } from "./meanwhile.ts";
import type { BodyWriter, Queue } from "./mod.ts";
import { Postponed } from "./postponed.ts";
import type { QueueOptions } from "./queue.ts";
import { readAfter } from "./read-after.ts";
import { Releases } from "./releases.ts";
import { amendNow, poison, type SetAsideParts } from "./set-aside.ts";
import { isSameFile, withSoundBodies } from "./sound-bodies.ts";
import type {
  ApplyOptions,
  Change,
  QueueFilter,
  QueueItem,
  QueueKind,
  QueueStore,
  QueueSummary,
} from "./store.ts";
import { type DueListener, type TakeOptions, Taking } from "./taking.ts";

export interface QueueParts {
  readonly store: QueueStore;
  readonly bodies: Bodies;
  readonly marks: Marks;
  closeAll(): Promise<void>;
}

const MEMORY_BOUND = 64 * 1024 * 1024;
const NOTHING: ReadonlyMap<string, QueueItem> = new Map();

export class QueueRoom implements Queue {
  readonly store: QueueStore;
  readonly #options: QueueOptions;
  readonly #parts: QueueParts;
  readonly #taking: Taking;
  readonly #fence = new Fence();
  readonly #postponed: Postponed;
  readonly #late: LateBodies;
  readonly #releases: Releases;
  readonly #verbs: AdminVerbs & RetryNews;
  readonly #aside: SetAsideParts;
  readonly #submission = new SteadySet();
  readonly #meanwhile = new Meanwhile();
  readonly #stopped = new AbortController();
  #closing: Promise<void> | undefined;
  #diskUsage: DiskUsage | undefined;

  constructor(options: QueueOptions, parts: QueueParts) {
    this.#options = options;
    this.#parts = parts;
    const { store } = parts;
    const { clock, log, memoryBound = MEMORY_BOUND } = options;
    this.#late = new LateBodies(parts.bodies);
    const postponed = new Postponed({
      ...{ store, clock, place: (item) => this.#late.placeForLater(item) },
      onNamed: ({ message }) => parts.bodies.claim(message.body),
      onWritten: (item) => this.#noteWritten(item),
    });
    this.#postponed = postponed;
    this.store = readAfter(() => postponed.flush(), store);
    this.#taking = new Taking({ store, fence: this.#fence, postponed, clock, log, memoryBound });
    this.#releases = new Releases({
      ...{ taking: this.#taking, meanwhile: this.#meanwhile, clock, closed: this.#stopped.signal },
      amend: (amendment) => void amendNow(amendment, this.#aside),
    });
    const apply = (change: Change) => this.apply(change);
    const release = (ids: readonly string[]) => this.release(ids);
    this.#aside = { log, apply, release, taking: this.#taking };
    this.#verbs = adminVerbs({
      ...{ store: this.store, clock, apply, release, onRemove: options.onRemove },
      ...{ taking: this.#taking, fence: this.#fence, meanwhile: this.#meanwhile },
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

  async apply(asked: Change, options?: ApplyOptions): Promise<void> {
    const change = this.#meanwhile.adjust(asked);
    const ids = idsOf(change);
    const forgotten = this.#taking.forget(ids);
    const held = this.#heldItems(change);
    const whole = this.#postponed.takeOver(change);
    this.#fence.begin(ids);
    try {
      const placing = this.#late.place(whole.change);
      const placed = placing instanceof Promise ? await placing : placing;
      await this.#parts.store.apply(placed, held, options);
      this.#noteNamed(placed);
    } catch (error) {
      this.#postponed.putBack(whole.taken);
      for (const place of forgotten) this.#taking.dueInStore(place);
      this.#releases.noteUnsettled(ids);
      this.#offerAgain(ids);
      throw error;
    } finally {
      this.#fence.end(ids);
    }
    this.#settle(change);
    // An amendment does not say where its item stands: the store does.
    if (change.amend !== undefined) await this.#settleInStore(change.amend.map(({ id }) => id));
  }

  passOn(asked: QueueItem): Promise<void> | undefined {
    const item = this.#meanwhile.adjustItem(asked);
    const { id, body } = item.message;
    const held = this.#heldItem(id);
    // A body file of its own would be named by nobody if the message left before its row was written.
    const mayWait = item.status === "Ready" && held !== undefined && isSameFile(body, held.message.body);
    if (!mayWait || !this.#postponed.hasRoom() || this.#stopped.signal.aborted) {
      return this.apply({ update: [item] });
    }
    this.#postponed.put(item, held);
    this.#settleItem(item);
    return undefined;
  }

  async take(queue: QueueKind, options: TakeOptions): Promise<readonly QueueItem[]> {
    return await this.#soundOf(await this.#taking.take(queue, options));
  }

  async takeOverdue(options: { receivedBefore: number; limit: number }): Promise<readonly QueueItem[]> {
    return await this.#soundOf(await this.#taking.takeOverdue(options));
  }

  release(ids: readonly string[]): void {
    this.#releases.release(ids);
  }

  releaseLater(ids: readonly string[]): Promise<void> {
    return this.#releases.releaseLater(ids);
  }

  onDue(listener: DueListener): void {
    this.#taking.onDue(listener);
  }

  onRetry(listener: (nextHop: string) => void): void {
    this.#verbs.onRetry(listener);
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
    this.#postponed.stop();
    this.#stopped.abort();
    this.#closing ??= this.#postponed.flush().then(() => this.#parts.closeAll());
    return this.#closing;
  }

  /** A body file turned out damaged: whoever has the message, its next change sends it to Poison. */
  noteDamaged(error: DamagedBodyError): void {
    this.#options.log.error({ err: error, file: error.file }, "damaged body file");
    this.#meanwhile.damagedFiles.add(error.file);
  }

  removeFiles(files: readonly string[]): void {
    for (const file of files) this.#meanwhile.damagedFiles.delete(file);
    this.#parts.bodies.remove(files);
  }

  #heldItems({ update }: Change): ReadonlyMap<string, QueueItem> {
    if (update === undefined) return NOTHING;
    const held = new Map<string, QueueItem>();
    for (const { message } of update) {
      const item = this.#heldItem(message.id);
      if (item !== undefined) held.set(message.id, item);
    }
    return held;
  }

  /** What is in hand is on disk as it was handed out, unless that is not written yet, or another change is under way. */
  #heldItem(id: string): QueueItem | undefined {
    if (this.#fence.isChanging(id)) return undefined;
    return this.#postponed.has(id) ? this.#postponed.base(id) : this.#taking.leased(id);
  }

  /** On disk at last. Where memory had no room for it, it has to be read from there. */
  #noteWritten(item: QueueItem): void {
    const { id } = item.message;
    this.#fence.touch([id]);
    this.#late.settled(id);
    if (this.#taking.knows(id)) this.#taking.replace(item);
    else if (!this.#fence.isChanging(id)) this.#taking.offer(item);
  }

  /** The change is on disk, or may wait: leases end, and what is due can be taken. */
  #settle({ insert, update, remove }: Change): void {
    for (const item of insert ?? []) this.#settleItem(this.#late.placed(item));
    for (const item of update ?? []) this.#settleItem(this.#late.placed(item));
    for (const id of remove ?? []) this.#leave(id);
  }

  #settleItem(item: QueueItem): void {
    const { id } = item.message;
    this.#leave(id);
    if (item.queue === "Submission") this.#submission.add(id);
    this.#taking.offer(item);
  }

  /** Rows are on disk as this change has them, postponed updates that an amendment took along among them, or gone. */
  #noteNamed({ insert, update, remove }: Change): void {
    const note = ({ message: { id, body } }: QueueItem) => {
      this.#parts.bodies.claim(body);
      this.#late.settled(id);
    };
    insert?.forEach(note);
    update?.forEach(note);
    for (const id of remove ?? []) this.#late.settled(id);
  }

  /** It is where it was no more: in hand, in the submission queue. */
  #leave(id: string): void {
    this.#submission.delete(id);
    this.#taking.endLease(id);
    this.#meanwhile.forget(id);
    this.#releases.noteSettled(id);
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
  #offerAgain(ids: readonly string[]): void {
    this.#settleInStore(ids.filter((id) => this.#taking.leased(id) === undefined)).catch((error: unknown) =>
      this.#options.log.error({ err: error }, "messages of a failed change not offered again"),
    );
  }

  #soundOf(items: readonly QueueItem[]): Promise<readonly QueueItem[]> {
    return withSoundBodies(items, this.#parts.bodies, (item, error) => poison(item, error, this.#aside));
  }
}
