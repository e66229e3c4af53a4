/**
 * Handout: what is due, as far as memory knows, and who has what.
 *
 * One group per queue and next hop. Fresh items, and what was read ahead, wait in memory up to a bound of octets;
 * of the rest, and of what falls due later, the group only notes that the store has more. When memory is full, the
 * groups that hold most of it let go of theirs, which are on disk as well: a dead next hop must not take the place
 * of one that delivers. An item in hand (leased) is in no group.
 * No I/O and no clock: taking.ts asks the store and passes the time.
 *
 * @module
 */
import { SteadyMap } from "../../lib/steady-map.ts";
import type { Priority } from "../../mail/message.ts";
import type { QueueItem, QueueKind } from "./store.ts";

export interface Group {
  readonly queue: QueueKind;
  /** nextHop.key for Delivery, else "". */
  readonly nextHop: string;
  /** Due items in memory, oldest first, by priority. */
  readonly ready: Readonly<Record<Priority, SteadyMap<QueueItem>>>;
  /** Octets that they take. */
  memory: number;
  /**
   * The store may have due items that are not in memory: of this priority, behind those in memory, and of lower
   * ones. Undefined: memory has them all.
   */
  inStore: Priority | undefined;
  /** The same, of what came since the read that is under way began. */
  inStoreSince: Priority | undefined;
  /** When the earliest of the items that are not due yet falls due. */
  nextDueAt: number | undefined;
  /** The read of the store that is under way: there is one at a time. */
  reading: Promise<void> | undefined;
}

const PRIORITIES = ["High", "Normal", "Low"] as const;
const RANK: Readonly<Record<Priority, number>> = { High: 0, Normal: 1, Low: 2 };

const KEPT_GROUPS = 32;
/** Memory is kept free beyond this share of its bound. */
const FILLED = 0.75;

export class Handout {
  readonly #memoryBound: number;
  readonly #groups = new SteadyMap<Group>();
  readonly #waiting = new SteadyMap<Group>();
  readonly #leases = new SteadyMap<QueueItem>();
  #memoryUsed = 0;

  constructor(memoryBound: number) {
    this.#memoryBound = memoryBound;
  }

  groups(): Iterable<Group> {
    return this.#groups.values();
  }

  find(queue: QueueKind, nextHop: string): Group | undefined {
    return this.#groups.get(`${queue} ${nextHop}`);
  }

  group(queue: QueueKind, nextHop: string): Group {
    const key = `${queue} ${nextHop}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      const ready = { High: itemsById(), Normal: itemsById(), Low: itemsById() };
      group = {
        ...{ queue, nextHop, ready, memory: 0, inStore: undefined, inStoreSince: undefined },
        ...{ nextDueAt: undefined, reading: undefined },
      };
      this.#groups.set(key, group);
    }
    return group;
  }

  /** Takes note of an item that is on disk, or will be, and in nobody's hand. Returns its group when it is due. */
  offer(item: QueueItem, now: number): Group | undefined {
    if (item.status === "Suspended") return undefined;
    const group = this.group(item.queue, item.nextHop?.key ?? "");
    if (item.dueAt > now) {
      group.nextDueAt = Math.min(item.dueAt, group.nextDueAt ?? item.dueAt);
      return undefined;
    }
    const { priority } = item.message;
    const cost = memoryCost(item);
    if (!isBehindStore(group, priority) && this.#memoryUsed + cost > this.#memoryBound) this.#makeRoom();
    if (isBehindStore(group, priority) || this.#memoryUsed + cost > this.#memoryBound) {
      noteInStore(group, priority);
    } else {
      this.#hold(group, item, cost);
    }
    return group;
  }

  /** Keeps an item that was read from the store; false when memory is full. `must`: somebody waits for it. */
  keep(group: Group, item: QueueItem, { must }: { must: boolean }): boolean {
    const cost = memoryCost(item);
    if (!must && this.#memoryUsed + cost > this.#memoryBound) return false;
    this.#hold(group, item, cost);
    return true;
  }

  /** The item is the same, its octets lie elsewhere now: it keeps its place, if it waits. */
  replace(item: QueueItem): void {
    const { id, priority } = item.message;
    const group = this.#waiting.get(id);
    const before = group?.ready[priority].get(id);
    if (group === undefined || before === undefined) return;
    group.ready[priority].set(id, item);
    this.#use(group, memoryCost(item) - memoryCost(before));
  }

  /** True when there is memory for what nobody has asked for yet. */
  hasRoom(): boolean {
    if (this.#memoryUsed >= this.#memoryBound * FILLED) this.#makeRoom();
    return this.#memoryUsed < this.#memoryBound * FILLED;
  }

  /** Drops the copy in memory, if there is one; the group it was in. */
  forget(id: string): Group | undefined {
    const group = this.#waiting.get(id);
    if (group === undefined) return undefined;
    this.#waiting.delete(id);
    for (const priority of PRIORITIES) {
      const item = group.ready[priority].get(id);
      if (item === undefined) continue;
      group.ready[priority].delete(id);
      this.#use(group, -memoryCost(item));
    }
    return group;
  }

  /** Up to `limit` items out of memory, High first, leased; none that the store may have older ones of. */
  takeReady(group: Group, limit: number): QueueItem[] {
    const taken: QueueItem[] = [];
    for (const priority of PRIORITIES) {
      if (group.inStore !== undefined && RANK[priority] > RANK[group.inStore]) return taken;
      for (const item of group.ready[priority].values()) {
        if (taken.length >= limit) return taken;
        this.lease(item);
        taken.push(item);
      }
    }
    return taken;
  }

  lease(item: QueueItem): void {
    this.forget(item.message.id);
    this.#leases.set(item.message.id, item);
  }

  /** Ends a lease; the item as it was handed out. */
  endLease(id: string): QueueItem | undefined {
    const item = this.#leases.get(id);
    this.#leases.delete(id);
    return item;
  }

  /** An item in hand, as it was handed out. */
  leased(id: string): QueueItem | undefined {
    return this.#leases.get(id);
  }

  /** True when memory knows where the item is: in hand or waiting. */
  has(id: string): boolean {
    return this.#leases.has(id) || this.#waiting.has(id);
  }

  /** All ids in hand. */
  leasedIds(): Iterable<string> {
    return this.#leases.keys();
  }

  /** Ids of a group that are in hand or wait in memory. */
  knownIds(group: Group): string[] {
    const ids = PRIORITIES.flatMap((priority) => [...group.ready[priority].keys()]);
    for (const [id, { queue, nextHop }] of this.#leases) {
      if (queue === group.queue && (nextHop?.key ?? "") === group.nextHop) ids.push(id);
    }
    return ids;
  }

  /** Drops a group that has nothing left to say, unless there are few: the next message makes it again. */
  tidy(group: Group): void {
    if (this.#groups.size <= KEPT_GROUPS) return;
    if (group.inStore !== undefined || group.nextDueAt !== undefined || group.reading !== undefined) return;
    if (readyCount(group) > 0) return;
    const key = `${group.queue} ${group.nextHop}`;
    // Tidied away before, and made anew since: the new one stays.
    if (this.#groups.get(key) === group) this.#groups.delete(key);
  }

  memoryUsed(): number {
    return this.#memoryUsed;
  }

  #hold(group: Group, item: QueueItem, cost: number): void {
    this.#use(group, cost);
    group.ready[item.message.priority].set(item.message.id, item);
    this.#waiting.set(item.message.id, group);
  }

  #use(group: Group, octets: number): void {
    group.memory += octets;
    this.#memoryUsed += octets;
  }

  /** Groups that hold as much as the average of those that hold some, or more, let go of it, until there is room again. */
  #makeRoom(): void {
    let holders = 0;
    for (const { memory } of this.#groups.values()) if (memory > 0) holders += 1;
    const average = this.#memoryUsed / Math.max(holders, 1);
    for (const group of this.#groups.values()) {
      if (this.#memoryUsed < this.#memoryBound * FILLED) return;
      if (group.memory >= average && group.memory > 0) this.#letGo(group);
    }
  }

  #letGo(group: Group): void {
    for (const priority of PRIORITIES) {
      const items = group.ready[priority];
      if (items.size === 0) continue;
      noteInStore(group, priority);
      for (const id of items.keys()) this.#waiting.delete(id);
      items.clear();
    }
    this.#use(group, -group.memory);
  }
}

/** The store may have due items of that priority, and of lower ones, that are not in memory. */
export function noteInStore(group: Group, priority: Priority): void {
  group.inStore = higherOf(group.inStore, priority);
  group.inStoreSince = higherOf(group.inStoreSince, priority);
}

export function higherOf(a: Priority | undefined, b: Priority | undefined): Priority | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return RANK[a] <= RANK[b] ? a : b;
}

export function readyCount({ ready }: Group): number {
  return ready.High.size + ready.Normal.size + ready.Low.size;
}

const itemsById = () => new SteadyMap<QueueItem>();

/** Items of that priority wait in the store: a fresh one goes behind them. */
function isBehindStore({ inStore }: Group, priority: Priority): boolean {
  return inStore !== undefined && RANK[priority] >= RANK[inStore];
}

// The objects around the octets weigh about as much as a small header.
const OBJECTS = 1500;

function memoryCost({ message: { header, body } }: QueueItem): number {
  let cost = OBJECTS + (body.kind === "inline" ? body.size : 0);
  for (const { raw } of header) cost += raw.length;
  return cost;
}
