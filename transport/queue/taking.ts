/**
 * Taking: hands out what is due, once, from memory or from the store, and tells when something became due.
 *
 * The store is read ahead: one read fetches some hundred items, and the next one begins before they are used up.
 * Whatever a read of the store left behind is either announced again or has a time to wake for: nothing that
 * is due is ever forgotten until the next start.
 *
 * @module
 */
import type { Clock } from "../../lib/clock.ts";
import { Waker } from "../../lib/waker.ts";
import type { Fence } from "./fence.ts";
import { type Group, Handout, higherOf, noteInStore, readyCount } from "./handout.ts";
import type { Postponed } from "./postponed.ts";
import type { QueueLog } from "./queue.ts";
import type { QueueItem, QueueKind, QueueStore } from "./store.ts";

export type DueListener = (queue: QueueKind, nextHop: string) => void;

export interface TakeOptions {
  readonly nextHop?: string;
  readonly limit: number;
}

export interface TakingParts {
  readonly store: QueueStore;
  readonly fence: Fence;
  readonly clock: Clock;
  readonly log: QueueLog;
  readonly memoryBound: number;
  /** Written before the store is read; what is still in there then, a read says nothing true of. */
  readonly postponed: Postponed;
}

type Place = Pick<Group, "queue" | "nextHop">;

const READ_AGAIN_MS = 5000;
/** Items fetched at once where memory has room, and how many are left when the next ones are fetched. */
const READ_AHEAD = 200;
const READ_AHEAD_LOW = 100;

export class Taking {
  readonly #parts: TakingParts;
  readonly #handout: Handout;
  readonly #waker: Waker;
  readonly #listeners: DueListener[] = [];
  #due = new Set<Group>();
  #stopped = false;

  constructor(parts: TakingParts) {
    this.#parts = parts;
    this.#handout = new Handout(parts.memoryBound);
    this.#waker = new Waker(parts.clock, () => this.#wake());
  }

  onDue(listener: DueListener): void {
    this.#listeners.push(listener);
    for (const group of this.#handout.groups()) {
      if (group.inStore !== undefined || readyCount(group) > 0) this.#tell(listener, group);
    }
  }

  async take(queue: QueueKind, { nextHop, limit }: TakeOptions): Promise<readonly QueueItem[]> {
    if (queue !== "Delivery" || nextHop !== undefined)
      return await this.#takeFrom(queue, nextHop ?? "", limit);
    const taken: QueueItem[] = [];
    for (const group of [...this.#handout.groups()]) {
      if (group.queue !== "Delivery") continue;
      taken.push(...(await this.#takeFrom(queue, group.nextHop, limit - taken.length)));
    }
    return taken;
  }

  async takeOverdue(options: { receivedBefore: number; limit: number }): Promise<readonly QueueItem[]> {
    if (this.#stopped) return [];
    const { fence, store, clock, postponed } = this.#parts;
    await postponed.flush();
    const except = new Set([...this.#handout.leasedIds(), ...fence.changing(), ...postponed.ids()]);
    const { answer, isStale } = await fence.read(() =>
      store.overdue({ ...options, now: clock.now(), except }),
    );
    const items = answer.filter(({ message: { id } }) => !isStale(id));
    for (const item of items) this.lease(item);
    return items;
  }

  /** An item is in nobody's hand, and on disk in this form or about to be. */
  offer(item: QueueItem): void {
    const group = this.#handout.offer(item, this.#parts.clock.now());
    if (group !== undefined) this.#announce(group);
    else if (item.status !== "Suspended") this.#waker.set(item.dueAt);
  }

  /** The store has an item that may be due now. By name: the group itself may have been tidied away since. */
  dueInStore({ queue, nextHop }: Place): void {
    const group = this.#handout.group(queue, nextHop);
    noteInStore(group, "High");
    this.#announce(group);
  }

  /** The store has something that falls due then. */
  dueLater({ queue, nextHop }: Place, at: number): void {
    const group = this.#handout.group(queue, nextHop);
    group.nextDueAt = Math.min(at, group.nextDueAt ?? at);
    this.#waker.set(group.nextDueAt);
  }

  /** Drops copies in memory; the groups they were in. */
  forget(ids: readonly string[]): readonly Place[] {
    const places: Place[] = [];
    for (const id of ids) {
      const group = this.#handout.forget(id);
      if (group !== undefined) places.push(group);
    }
    return places;
  }

  lease(item: QueueItem): void {
    this.#handout.lease(item);
    this.#parts.fence.touch([item.message.id]);
  }

  /** Ends a lease; the item as it was handed out. */
  endLease(id: string): QueueItem | undefined {
    const item = this.#handout.endLease(id);
    if (item !== undefined) this.#parts.fence.touch([id]);
    return item;
  }

  leased(id: string): QueueItem | undefined {
    return this.#handout.leased(id);
  }

  /** The item is the same, its octets lie elsewhere now. */
  replace(item: QueueItem): void {
    this.#handout.replace(item);
  }

  /** True when memory knows where the item is: in hand or waiting. */
  knows(id: string): boolean {
    return this.#handout.has(id);
  }

  stop(): void {
    this.#stopped = true;
    this.#waker.stop();
  }

  async #takeFrom(queue: QueueKind, nextHop: string, limit: number): Promise<readonly QueueItem[]> {
    const taken: QueueItem[] = [];
    for (;;) {
      const group = this.#handout.find(queue, nextHop);
      if (group === undefined || this.#stopped || limit <= 0) return taken;
      taken.push(...this.#takeReady(group, limit - taken.length));
      if (taken.length >= limit || group.inStore === undefined) return this.#leave(group, taken);
      try {
        await this.#readAhead(group, limit - taken.length);
      } catch (error) {
        if (taken.length === 0) throw error;
        return taken; // The rest is announced when the store is read again.
      }
    }
  }

  /** The hand is as full as it gets: time to fetch the next ones before they are asked for. */
  #leave(group: Group, taken: readonly QueueItem[]): readonly QueueItem[] {
    if (group.inStore === undefined) this.#handout.tidy(group);
    else if (readyCount(group) < READ_AHEAD_LOW) void this.#readAhead(group, 1).catch(() => undefined);
    return taken;
  }

  #takeReady(group: Group, limit: number): readonly QueueItem[] {
    const taken = this.#handout.takeReady(group, limit);
    this.#parts.fence.touch(taken.map(({ message }) => message.id));
    return taken;
  }

  /** Fetches due items into memory, `limit` at least. Those who ask together share one read. */
  #readAhead(group: Group, limit: number): Promise<void> {
    group.reading ??= this.#read(
      group,
      this.#handout.hasRoom() ? Math.max(limit, READ_AHEAD) : limit,
    ).finally(() => {
      group.reading = undefined;
      this.#handout.tidy(group);
    });
    return group.reading;
  }

  async #read(group: Group, limit: number): Promise<void> {
    const { queue, nextHop } = group;
    const { fence, store, clock, log, postponed } = this.#parts;
    await postponed.flush();
    const except = new Set([...this.#handout.knownIds(group), ...fence.changing(), ...postponed.ids()]);
    const now = clock.now();
    group.inStoreSince = undefined;
    try {
      const { answer, isStale } = await fence.read(() => store.due({ queue, nextHop, now, limit, except }));
      const sound = answer.filter(({ message: { id } }) => !isStale(id));
      group.inStore = group.inStoreSince;
      if (sound.length < answer.length) noteInStore(group, "High");
      else if (answer.length >= limit)
        group.inStore = higherOf(group.inStore, answer.at(-1)?.message.priority);
      this.#keep(group, sound);
    } catch (error) {
      log.error({ queue, nextHop, err: error }, "due messages not read");
      this.dueLater(group, now + READ_AGAIN_MS);
      throw error;
    }
    if (group.inStore !== undefined) return;
    const next = await this.#nextDue(group, now);
    if (next !== undefined) this.dueLater(group, next);
  }

  /** The first is kept in any case: somebody may wait for it. */
  #keep(group: Group, items: readonly QueueItem[]): void {
    for (const [index, item] of items.entries()) {
      if (this.#handout.keep(group, item, { must: index === 0 })) continue;
      noteInStore(group, item.message.priority);
      return;
    }
  }

  /** A failure here must not lose the items that were leased: the time is asked for again a little later. */
  async #nextDue({ queue, nextHop }: Group, after: number): Promise<number | undefined> {
    try {
      return await this.#parts.store.nextDue({ queue, nextHop, after });
    } catch (error) {
      this.#parts.log.error({ queue, nextHop, err: error }, "next due time not read");
      return after + READ_AGAIN_MS;
    }
  }

  /** Time has come for some groups. */
  #wake(): void {
    const now = this.#parts.clock.now();
    for (const group of this.#handout.groups()) {
      if (group.nextDueAt === undefined) continue;
      if (group.nextDueAt > now) {
        this.#waker.set(group.nextDueAt);
        continue;
      }
      group.nextDueAt = undefined;
      this.dueInStore(group);
    }
  }

  /** Tells the listeners once, however many items of a group became due in this turn. */
  #announce(group: Group): void {
    if (this.#due.size === 0) queueMicrotask(() => this.#tellAll());
    this.#due.add(group);
  }

  #tellAll(): void {
    const groups = this.#due;
    // Not cleared: it would lead to the next one's groups (lib/steady-map.ts).
    this.#due = new Set();
    if (this.#stopped) return;
    for (const group of groups) for (const listener of this.#listeners) this.#tell(listener, group);
  }

  #tell(listener: DueListener, { queue, nextHop }: Group): void {
    try {
      listener(queue, nextHop);
    } catch (error) {
      this.#parts.log.error({ queue, nextHop, err: error }, "onDue listener failed");
    }
  }
}
