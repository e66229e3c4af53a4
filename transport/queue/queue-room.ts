/**
 * Queue: store, bodies, leases, waking and marks behind one door.
 *
 * The hot path never reads the database back: what apply() made durable and due waits in memory (handout.ts).
 * Whatever else is due is read from the store, by index, when somebody takes it. The fence (fence.ts) keeps
 * those reads and changes under way from crossing.
 *
 * @module
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Body } from "../../mail/message.ts";
import { type AdminVerbs, adminVerbs } from "./admin-verbs.ts";
import type { Bodies, DamagedBodyError } from "./bodies.ts";
import { Fence } from "./fence.ts";
import { type Group, Handout, hasReady } from "./handout.ts";
import type { Marks } from "./marks.ts";
import type { BodyWriter, Queue } from "./mod.ts";
import type { QueueOptions } from "./queue.ts";
import type { Change, QueueFilter, QueueItem, QueueKind, QueueStore, QueueSummary } from "./store.ts";
import { Waker } from "./waker.ts";

export interface QueueParts {
  readonly store: QueueStore;
  readonly bodies: Bodies;
  readonly marks: Marks;
  closeAll(): Promise<void>;
}

const MEMORY_BOUND = 64 * 1024 * 1024;
const MEASURE_INTERVAL_MS = 5000;
const READ_AGAIN_MS = 5000;
const UNSETTLED_PAUSE_MS = 30_000;

export class QueueRoom implements Queue {
  readonly store: QueueStore;
  readonly #options: QueueOptions;
  readonly #parts: QueueParts;
  readonly #handout: Handout;
  readonly #fence = new Fence();
  readonly #waker: Waker;
  readonly #verbs: AdminVerbs;
  readonly #listeners: ((queue: QueueKind, nextHop: string) => void)[] = [];
  readonly #submission = new Set<string>();
  /** Suspended by an administrator while in hand; takes effect when the holder is done. */
  readonly #suspendLater = new Set<string>();
  /** In hand, and the change that should have settled them failed. */
  readonly #unsettled = new Set<string>();
  readonly #damagedFiles = new Set<string>();
  readonly #due = new Set<Group>();
  readonly #stopped = new AbortController();
  #closing: Promise<void> | undefined;
  #diskUsed = 0;

  constructor(options: QueueOptions, parts: QueueParts) {
    this.#options = options;
    this.#parts = parts;
    this.store = parts.store;
    this.#handout = new Handout(options.memoryBound ?? MEMORY_BOUND);
    this.#waker = new Waker(options.clock, () => this.#wake());
    this.#verbs = adminVerbs({
      store: this.store,
      now: () => options.clock.now(),
      apply: (change) => this.apply(change),
      release: (ids) => this.release(ids),
      isInHand: (id) => this.#handout.isLeased(id) || this.#fence.isChanging(id),
      lease: (item) => this.#lease(item),
      suspendLater: this.#suspendLater,
      onRemove: options.onRemove,
    });
  }

  /** Finds what is there: ids of the submission queue, and per group whether something is due, or when. */
  async start(): Promise<void> {
    const now = this.#options.clock.now();
    for (const { id } of await this.store.select({ queue: "Submission" })) this.#submission.add(id);
    for (const { queue, nextHop, nextDueAt } of await this.store.summary()) {
      if (nextDueAt === undefined) continue;
      const group = this.#handout.group(queue, nextHop);
      if (nextDueAt > now) this.#dueLater(group, nextDueAt);
      else group.inStore = true;
    }
    await this.#measure();
    void this.#keepMeasuring();
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
    const forgotten = ids.flatMap((id) => this.#handout.forget(id) ?? []);
    const held = this.#heldItems(change);
    this.#fence.begin(ids);
    try {
      await this.store.apply(change, held);
    } catch (error) {
      for (const group of forgotten) this.#dueInStore(group);
      for (const id of ids) if (this.#handout.isLeased(id)) this.#unsettled.add(id);
      throw error;
    } finally {
      this.#fence.end(ids);
    }
    this.#settle(change);
    if (change.amend !== undefined && change.amend.length > 0) await this.#settleAmended(change.amend);
  }

  async take(
    queue: QueueKind,
    { nextHop, limit }: { nextHop?: string; limit: number },
  ): Promise<readonly QueueItem[]> {
    if (queue === "Delivery" && nextHop === undefined) return await this.#takeAnyDelivery(limit);
    return await this.#takeFrom(queue, nextHop ?? "", limit);
  }

  async takeOverdue(options: { receivedBefore: number; limit: number }): Promise<readonly QueueItem[]> {
    if (this.#closing !== undefined) return [];
    const except = new Set([...this.#handout.leasedIds(), ...this.#fence.changing()]);
    const now = this.#options.clock.now();
    const { answer, isStale } = await this.#fence.read(() => this.store.overdue({ ...options, now, except }));
    const items = answer.filter(({ message: { id } }) => !isStale(id));
    for (const item of items) this.#lease(item);
    return items;
  }

  release(ids: readonly string[]): void {
    for (const id of ids) {
      if (this.#unsettled.delete(id)) void this.#releaseLater(id);
      else this.#releaseNow(id);
    }
  }

  onDue(listener: (queue: QueueKind, nextHop: string) => void): void {
    this.#listeners.push(listener);
    for (const group of this.#handout.groups()) {
      if (group.inStore || hasReady(group)) this.#tell(listener, group);
    }
  }

  mark(id: string): () => void {
    return this.#parts.marks.mark(id);
  }

  submissionLength(): number {
    return this.#submission.size;
  }

  diskUsed(): number {
    return this.#diskUsed;
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
    this.#waker.stop();
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
      const item = this.#fence.isChanging(message.id) ? undefined : this.#handout.leased(message.id);
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
      this.#offer(item);
    }
    for (const id of remove) {
      this.#endLease(id);
      this.#submission.delete(id);
    }
  }

  #endLease(id: string): void {
    this.#handout.endLease(id);
    this.#suspendLater.delete(id);
    this.#unsettled.delete(id);
  }

  /** An amendment does not say where its item stands: the store does. */
  async #settleAmended(amend: readonly { readonly id: string }[]): Promise<void> {
    for (const { id, queue, nextHop, status } of await this.store.select({
      ids: amend.map(({ id }) => id),
    })) {
      if (queue === "Submission") this.#submission.add(id);
      else this.#submission.delete(id);
      if (status !== "Suspended") this.#dueInStore({ queue, nextHop });
    }
  }

  #offer(item: QueueItem): void {
    const now = this.#options.clock.now();
    const group = this.#handout.offer(item, now);
    if (group !== undefined) this.#announce(group);
    else if (item.status !== "Suspended") this.#waker.set(item.dueAt);
  }

  #lease(item: QueueItem): void {
    this.#handout.lease(item);
    this.#fence.touch([item.message.id]);
  }

  #releaseNow(id: string): void {
    const item = this.#handout.endLease(id);
    if (item === undefined) return;
    this.#fence.touch([id]);
    if (this.#suspendLater.delete(id)) void this.#suspendNow(item);
    else this.#offer(item);
  }

  /** The disk is full, say: handed out at once, a delivered message would be sent again and again. */
  async #releaseLater(id: string): Promise<void> {
    try {
      await this.#options.clock.sleep(UNSETTLED_PAUSE_MS, this.#stopped.signal);
    } catch {
      return; // Closed: leases end with the process.
    }
    this.#releaseNow(id);
  }

  async #suspendNow({ message: { id } }: QueueItem): Promise<void> {
    try {
      await this.apply({ amend: [{ id, status: "Suspended" }] });
    } catch (error) {
      this.#options.log.error({ messageId: id, err: error }, "message could not be suspended");
    }
  }

  async #takeAnyDelivery(limit: number): Promise<readonly QueueItem[]> {
    const taken: QueueItem[] = [];
    for (const { queue, nextHop } of [...this.#handout.groups()]) {
      if (taken.length >= limit) break;
      if (queue === "Delivery") taken.push(...(await this.#takeFrom(queue, nextHop, limit - taken.length)));
    }
    return taken;
  }

  async #takeFrom(queue: QueueKind, nextHop: string, limit: number): Promise<readonly QueueItem[]> {
    let group = this.#handout.find(queue, nextHop);
    while (group?.reading !== undefined) {
      await group.reading.catch(() => undefined);
      group = this.#handout.find(queue, nextHop);
    }
    if (group === undefined || this.#closing !== undefined || limit <= 0) return [];
    if (!group.inStore) {
      const taken = this.#handout.takeReady(group, limit);
      this.#fence.touch(taken.map(({ message }) => message.id));
      this.#handout.tidy(group);
      return taken;
    }
    const reading = this.#takeFromStore(group, limit);
    group.reading = reading;
    try {
      return await this.#withSoundBodies(await reading);
    } finally {
      this.#handout.tidy(group);
    }
  }

  async #takeFromStore(group: Group, limit: number): Promise<readonly QueueItem[]> {
    const { queue, nextHop } = group;
    const except = new Set([...this.#handout.leasedIds(group), ...this.#fence.changing()]);
    const now = this.#options.clock.now();
    group.inStore = false;
    let finished = false;
    let failed = true;
    try {
      const { answer, isStale } = await this.#fence.read(() =>
        this.store.due({ queue, nextHop, now, limit, except }),
      );
      const items = answer.filter(({ message: { id } }) => !isStale(id));
      for (const item of items) this.#lease(item);
      if (answer.length < limit && items.length === answer.length) {
        const next = await this.store.nextDue({ queue, nextHop, after: now });
        if (next !== undefined) this.#dueLater(group, next);
        finished = true;
      }
      failed = false;
      return items;
    } finally {
      group.reading = undefined;
      if (failed) this.#dueLater(group, now + READ_AGAIN_MS);
      if (!finished) group.inStore = true;
    }
  }

  /** Sets aside what has lost its body; after a restart nobody has looked at the file yet. */
  async #withSoundBodies(items: readonly QueueItem[]): Promise<readonly QueueItem[]> {
    const sound: QueueItem[] = [];
    for (const item of items) {
      try {
        await this.#parts.bodies.check(item.message.body);
        sound.push(item);
      } catch (error) {
        this.#options.log.error(
          { messageId: item.message.id, err: error },
          "damaged message set aside in Poison",
        );
        const lastError = error instanceof Error ? error.message : String(error);
        const status = "Suspended";
        await this.apply({ update: [{ ...item, queue: "Poison", nextHop: undefined, status, lastError }] });
      }
    }
    return sound;
  }

  #dueLater(group: Group, at: number): void {
    group.nextDueAt = Math.min(at, group.nextDueAt ?? at);
    this.#waker.set(group.nextDueAt);
  }

  /** By name: the group itself may have been tidied away since. */
  #dueInStore({ queue, nextHop }: Pick<Group, "queue" | "nextHop">): void {
    const group = this.#handout.group(queue, nextHop);
    group.inStore = true;
    this.#announce(group);
  }

  /** Time has come for some groups. */
  #wake(): void {
    const now = this.#options.clock.now();
    for (const group of this.#handout.groups()) {
      if (group.nextDueAt === undefined) continue;
      if (group.nextDueAt > now) {
        this.#waker.set(group.nextDueAt);
        continue;
      }
      group.nextDueAt = undefined;
      this.#dueInStore(group);
    }
  }

  /** Tells the listeners once, however many items of a group became due in this turn. */
  #announce(group: Group): void {
    if (this.#due.size === 0) queueMicrotask(() => this.#tellAll());
    this.#due.add(group);
  }

  #tellAll(): void {
    const groups = [...this.#due];
    this.#due.clear();
    if (this.#closing !== undefined) return;
    for (const group of groups) for (const listener of this.#listeners) this.#tell(listener, group);
  }

  #tell(listener: (queue: QueueKind, nextHop: string) => void, { queue, nextHop }: Group): void {
    try {
      listener(queue, nextHop);
    } catch (error) {
      this.#options.log.error({ queue, nextHop, err: error }, "onDue listener failed");
    }
  }

  async #keepMeasuring(): Promise<void> {
    const { clock, log } = this.#options;
    while (!this.#stopped.signal.aborted) {
      try {
        await clock.sleep(MEASURE_INTERVAL_MS, this.#stopped.signal);
        await this.#measure();
      } catch (error) {
        if (!this.#stopped.signal.aborted) log.warn({ err: error }, "queue size not measured");
      }
    }
  }

  async #measure(): Promise<void> {
    let used = this.#parts.bodies.size();
    for (const file of ["queue.db", "queue.db-wal"]) {
      const found = await stat(join(this.#options.directory, file)).catch(() => undefined); // Other engines have none.
      used += found?.size ?? 0;
    }
    this.#diskUsed = used;
  }
}

function idsOf({ insert = [], update = [], amend = [], remove = [] }: Change): string[] {
  return [
    ...insert.map(({ message }) => message.id),
    ...update.map(({ message }) => message.id),
    ...amend.map(({ id }) => id),
    ...remove,
  ];
}
