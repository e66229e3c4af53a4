/** Memory store: a QueueStore for tests. Same contract as SQLite's, except that nothing outlives it. */
import { addressKey, formatPath, parseAddress } from "../../mail/address.ts";
import { summaryOf } from "./item-codec.ts";
import { QueueStoreError } from "./sqlite-store.ts";
import type {
  Amendment,
  Change,
  DueQuery,
  ItemPlace,
  QueueFilter,
  QueueItem,
  QueueStore,
  QueueSummary,
  StoreEvents,
} from "./store.ts";

const RANK = { High: 0, Normal: 1, Low: 2 } as const;
const EXPIRING: readonly string[] = ["Submission", "Delivery", "Unreachable"];

/** Opens an empty store. */
export async function openMemoryStore(_path: string, events: StoreEvents): Promise<QueueStore> {
  return new MemoryStore(events);
}

class MemoryStore implements QueueStore {
  readonly #events: StoreEvents;
  #items = new Map<string, QueueItem>();
  #closed = false;

  constructor(events: StoreEvents) {
    this.#events = events;
  }

  async apply(change: Change): Promise<void> {
    if (this.#closed) throw new QueueStoreError("The queue is closed", 0);
    const items = changed(this.#items, change);
    const before = filesOf(this.#items.values());
    this.#items = items;
    const unnamed = before.difference(filesOf(items.values()));
    if (unnamed.size > 0) this.#events.onUnnamed([...unnamed]);
  }

  async get(id: string): Promise<QueueItem | undefined> {
    return this.#items.get(id);
  }

  async due({ queue, nextHop, now, limit, except }: DueQuery): Promise<readonly QueueItem[]> {
    const any = queue === "Delivery" && nextHop === undefined;
    return [...this.#items.values()]
      .filter((item) => item.queue === queue && (any || keyOf(item) === (nextHop ?? "")))
      .filter((item) => item.status !== "Suspended" && item.dueAt <= now && !except.has(item.message.id))
      .sort(byDueOrder)
      .slice(0, limit);
  }

  async overdue(query: Parameters<QueueStore["overdue"]>[0]): Promise<readonly QueueItem[]> {
    const { now, receivedBefore, limit, except } = query;
    return [...this.#items.values()]
      .filter((item) => EXPIRING.includes(item.queue) && !except.has(item.message.id))
      .filter(({ expiresAt, delayNotified, message: { origin } }) => {
        return expiresAt <= now || (!delayNotified && origin.receivedAt < receivedBefore);
      })
      .slice(0, limit);
  }

  async nextDue({
    queue,
    nextHop,
    after,
  }: Parameters<QueueStore["nextDue"]>[0]): Promise<number | undefined> {
    const times = [...this.#items.values()]
      .filter((item) => item.queue === queue && keyOf(item) === nextHop)
      .filter(({ status, dueAt }) => status !== "Suspended" && dueAt > after)
      .map(({ dueAt }) => dueAt);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  async select({ ids, queue, nextHop }: QueueFilter): Promise<readonly ItemPlace[]> {
    return this.#inOrder()
      .filter((item) => ids?.includes(item.message.id) ?? true)
      .filter((item) => queue === undefined || item.queue === queue)
      .filter((item) => nextHop === undefined || keyOf(item) === nextHop)
      .map((item) => {
        return { id: item.message.id, queue: item.queue, nextHop: keyOf(item), status: item.status };
      });
  }

  async bodyFiles(): Promise<readonly { name: string; size: number }[]> {
    const sizes = new Map<string, number>();
    for (const { message } of this.#items.values()) {
      if (message.body.kind === "file") sizes.set(message.body.name, message.body.size);
    }
    return [...sizes].map(([name, size]) => ({ name, size }));
  }

  async summary(): Promise<readonly QueueSummary[]> {
    const groups = Map.groupBy(this.#items.values(), (item) => `${item.queue} ${keyOf(item)}`);
    return [...groups.values()].map(summarize);
  }

  async list(filter: Parameters<QueueStore["list"]>[0]) {
    const { queue, nextHop, networkMessageId, sender, recipient, limit, offset } = filter;
    return this.#inOrder()
      .filter((item) => queue === undefined || item.queue === queue)
      .filter((item) => nextHop === undefined || keyOf(item) === nextHop)
      .filter(
        ({ message }) => networkMessageId === undefined || message.networkMessageId === networkMessageId,
      )
      .filter(({ message: { envelope } }) => {
        return sender === undefined || sameText(formatPath(envelope.sender), sender);
      })
      .filter(({ message: { envelope } }) => {
        return (
          recipient === undefined || envelope.recipients.some(({ address }) => isAddress(address, recipient))
        );
      })
      .slice(offset, offset + limit)
      .map(summaryOf);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #inOrder(): QueueItem[] {
    return [...this.#items.values()].sort((a, b) => (a.message.id < b.message.id ? -1 : 1));
  }
}

/** The items after a change; throws where the change cannot be. */
function changed(before: ReadonlyMap<string, QueueItem>, change: Change): Map<string, QueueItem> {
  const { insert = [], update = [], amend = [], remove = [] } = change;
  const items = new Map(before);
  for (const item of insert) {
    if (items.has(item.message.id))
      throw new QueueStoreError(`Message "${item.message.id}" is there already`, 0);
    items.set(item.message.id, item);
  }
  for (const item of update) {
    if (!items.has(item.message.id))
      throw new QueueStoreError(`Message "${item.message.id}" is not in the queue`, 0);
    items.set(item.message.id, item);
  }
  for (const amendment of amend) {
    const item = items.get(amendment.id);
    if (item !== undefined) items.set(amendment.id, amended(item, amendment));
  }
  for (const id of remove) items.delete(id);
  return items;
}

function amended(item: QueueItem, { id: _id, ...fields }: Amendment): QueueItem {
  return { ...item, ...fields, nextHop: fields.queue === undefined ? item.nextHop : undefined };
}

function summarize(items: readonly QueueItem[]): QueueSummary {
  const active = items.filter(({ status }) => status !== "Suspended");
  const retrying = items.filter(({ status }) => status === "Retry").sort((a, b) => b.dueAt - a.dueAt);
  const suspended = items.filter(({ status }) => status === "Suspended");
  const [first] = items;
  return {
    queue: first?.queue ?? "Submission",
    nextHop: first === undefined ? "" : keyOf(first),
    messages: items.length,
    retrying: retrying.length,
    suspended: suspended.length,
    oldest: Math.min(...items.map(({ message }) => message.origin.receivedAt)),
    nextDueAt: active.length === 0 ? undefined : Math.min(...active.map(({ dueAt }) => dueAt)),
    lastError:
      retrying[0]?.lastError ?? suspended.find(({ lastError }) => lastError !== undefined)?.lastError,
  };
}

function filesOf(items: Iterable<QueueItem>): Set<string> {
  const files = new Set<string>();
  for (const { message } of items) if (message.body.kind === "file") files.add(message.body.name);
  return files;
}

function keyOf(item: QueueItem): string {
  return item.nextHop?.key ?? "";
}

function byDueOrder(a: QueueItem, b: QueueItem): number {
  const rank = RANK[a.message.priority] - RANK[b.message.priority];
  return rank || a.dueAt - b.dueAt || (a.message.id < b.message.id ? -1 : 1);
}

function sameText(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function isAddress(address: Parameters<typeof addressKey>[0], text: string): boolean {
  const wanted = parseAddress(text);
  return wanted !== undefined && addressKey(wanted) === addressKey(address);
}
