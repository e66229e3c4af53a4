/**
 * Handout: what is due, as far as memory knows, and who has what.
 *
 * One group per queue and next hop. Fresh items wait in memory up to a bound of octets; beyond it, and for
 * what falls due later, the group only notes that the store has more. An item in hand (leased) is in no group.
 * No I/O and no clock: queue.ts asks the store and passes the time.
 *
 * @module
 */
import type { Priority } from "../../mail/message.ts";
import type { QueueItem, QueueKind } from "./store.ts";

export interface Group {
  readonly queue: QueueKind;
  /** nextHop.key for Delivery, else "". */
  readonly nextHop: string;
  /** Due items in memory, oldest first, by priority. */
  readonly ready: Readonly<Record<Priority, Map<string, QueueItem>>>;
  /** The store may have due items that are not in memory. */
  inStore: boolean;
  /** When the earliest of the items that are not due yet falls due. */
  nextDueAt: number | undefined;
  /** The read of the store that is under way: others wait, or an item would be handed out twice. */
  reading: Promise<unknown> | undefined;
}

export class Handout {
  readonly #memoryBound: number;
  readonly #groups = new Map<string, Group>();
  readonly #waiting = new Map<string, Group>();
  readonly #leases = new Map<string, QueueItem>();
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
      const ready = { High: new Map(), Normal: new Map(), Low: new Map() };
      group = { queue, nextHop, ready, inStore: false, nextDueAt: undefined, reading: undefined };
      this.#groups.set(key, group);
    }
    return group;
  }

  /** Takes note of an item that is on disk in this form and in nobody's hand. Returns its group when it is due. */
  offer(item: QueueItem, now: number): Group | undefined {
    if (item.status === "Suspended") return undefined;
    const group = this.group(item.queue, item.nextHop?.key ?? "");
    if (item.dueAt > now) {
      group.nextDueAt = Math.min(item.dueAt, group.nextDueAt ?? item.dueAt);
      return undefined;
    }
    const cost = memoryCost(item);
    if (group.inStore || this.#memoryUsed + cost > this.#memoryBound) {
      group.inStore = true;
      return group;
    }
    this.#memoryUsed += cost;
    group.ready[item.message.priority].set(item.message.id, item);
    this.#waiting.set(item.message.id, group);
    return group;
  }

  /** Drops the copy in memory, if there is one; the group it was in. */
  forget(id: string): Group | undefined {
    const group = this.#waiting.get(id);
    if (group === undefined) return undefined;
    this.#waiting.delete(id);
    for (const items of Object.values(group.ready)) {
      const item = items.get(id);
      if (item !== undefined) this.#memoryUsed -= memoryCost(item);
      items.delete(id);
    }
    return group;
  }

  /** Up to `limit` items out of memory, High first, leased. */
  takeReady(group: Group, limit: number): QueueItem[] {
    const taken: QueueItem[] = [];
    for (const priority of ["High", "Normal", "Low"] as const) {
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

  /** Ids in hand, of one group or of all. */
  leasedIds(group?: Group): string[] {
    const ids: string[] = [];
    for (const [id, { queue, nextHop }] of this.#leases) {
      if (group === undefined || (queue === group.queue && (nextHop?.key ?? "") === group.nextHop))
        ids.push(id);
    }
    return ids;
  }

  /** Drops a group that has nothing left to say. */
  tidy(group: Group): void {
    if (group.inStore || group.nextDueAt !== undefined || group.reading !== undefined || hasReady(group))
      return;
    const key = `${group.queue} ${group.nextHop}`;
    // Tidied away before, and made anew since: the new one stays.
    if (this.#groups.get(key) === group) this.#groups.delete(key);
  }

  memoryUsed(): number {
    return this.#memoryUsed;
  }
}

export function hasReady({ ready }: Group): boolean {
  return ready.High.size + ready.Normal.size + ready.Low.size > 0;
}

// The objects around the octets weigh about as much as a small header.
const OBJECTS = 1500;

function memoryCost({ message: { header, body } }: QueueItem): number {
  let cost = OBJECTS + (body.kind === "inline" ? body.size : 0);
  for (const { raw } of header) cost += raw.length;
  return cost;
}
