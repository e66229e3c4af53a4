/**
 * SQLite store: the main thread's side of the engine in the worker.
 *
 * Group commit: what one turn of the event loop applies goes to the thread as a batch, and batches that come there
 * while one is being flushed share the next flush. Where many are on their way, changes gather here.
 * What is in no hurry waits for what is, some milliseconds at most: a batch costs far more than a change. Where nothing
 * came, it is written without a flush, so that a message that comes then does not wait for two; the next flush, a second
 * later at most, covers it. An insert is always flushed.
 * apply() resolves when its batch is on disk, or for what is in no hurry when it is written. A read sees every change
 * that was applied before it.
 * Errors: QueueStoreError with the cause in words. After a failed commit the store stays usable.
 *
 * @module
 */
import { packBatch, type Unpacked } from "./batch.ts";
import { DamagedItemError, decodeItem, decodeSummary, type Row } from "./item-codec.ts";
import type { BatchResult } from "./sqlite-commit.ts";
import { QueueStoreError, type Request, SqliteThread, storeError } from "./sqlite-thread.ts";
import type {
  ApplyOptions,
  Change,
  ItemPlace,
  QueueItem,
  QueueKind,
  QueueStore,
  QueueSummary,
  StoreEvents,
} from "./store.ts";
import { mergeSummary } from "./summary.ts";

export { QueueStoreError } from "./sqlite-thread.ts";

interface Waiting extends Unpacked {
  readonly hurry: boolean;
  resolve(): void;
  reject(error: Error): void;
}

const BATCH_CHANGES = 1000;
/** With so many on their way the thread has enough to do, and what waits is not packed yet. */
const MOST_UNANSWERED = 4;
const NO_HURRY_MS = 5;
const FLUSH_MS = 1000;
const BATCH_OCTETS = 8 * 1024 * 1024;

const NOTHING: ReadonlyMap<string, QueueItem> = new Map();

/** Opens the database at `path`, or makes it. */
export async function openSqliteStore(path: string, events: StoreEvents): Promise<QueueStore> {
  const store = new SqliteStore(path, events);
  await store.open();
  return store;
}

class SqliteStore implements QueueStore {
  readonly #thread: SqliteThread;
  readonly #events: StoreEvents;
  #waiting: Waiting[] = [];
  /** A batch leaves at the end of the turn. */
  #isGathering = false;
  /** Batches that the thread has not answered. */
  #unanswered = 0;
  #later: NodeJS.Timeout | undefined;
  /** Runs while something is written and not flushed. */
  #flushLater: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(path: string, events: StoreEvents) {
    this.#events = events;
    this.#thread = new SqliteThread(path, (error) => this.#refuseAll(error));
  }

  async open(): Promise<void> {
    try {
      await this.#ask("open");
    } catch (error) {
      this.#closing = Promise.resolve();
      await this.#thread.terminate();
      throw error;
    }
  }

  apply(
    change: Change,
    held: ReadonlyMap<string, QueueItem> = NOTHING,
    { hurry = true }: ApplyOptions = {},
  ): Promise<void> {
    if (this.#thread.dead !== undefined) return Promise.reject(this.#thread.dead);
    if (this.#closing !== undefined) return Promise.reject(new QueueStoreError("The queue is closed", 0));
    if (isEmpty(change)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, held, hurry, resolve, reject });
      this.#gather({ hurry });
    });
  }

  async get(id: string): Promise<QueueItem | undefined> {
    const row = (await this.#ask("get", id)) as Row | undefined;
    return row === undefined ? undefined : decodeItem(row);
  }

  due(query: Parameters<QueueStore["due"]>[0]): Promise<readonly QueueItem[]> {
    return this.#readItems("due", query);
  }

  overdue(query: Parameters<QueueStore["overdue"]>[0]): Promise<readonly QueueItem[]> {
    return this.#readItems("overdue", query);
  }

  /** Sets damaged rows aside and asks again, so that they do not count against the limit. */
  async #readItems(call: "due" | "overdue", query: object): Promise<readonly QueueItem[]> {
    for (;;) {
      const rows = (await this.#ask(call, query)) as Row[];
      const damaged: DamagedItemError[] = [];
      const items = rows.flatMap((row) => this.#decodeOr(row, damaged));
      if (damaged.length === 0) return items;
      await this.#setAside(damaged);
    }
  }

  async nextDue({
    queue,
    nextHop,
    after,
  }: Parameters<QueueStore["nextDue"]>[0]): Promise<number | undefined> {
    return (await this.#ask("nextDue", queue, nextHop, after)) as number | undefined;
  }

  async select(filter: Parameters<QueueStore["select"]>[0]): Promise<readonly ItemPlace[]> {
    const rows = (await this.#ask("select", filter)) as [string, QueueKind, string, ItemPlace["status"]][];
    return rows.map(([id, queue, nextHop, status]) => ({ id, queue, nextHop, status }));
  }

  async bodyFiles(): Promise<readonly { name: string; size: number }[]> {
    return ((await this.#ask("bodyFiles")) as [string, number][]).map(([name, size]) => ({ name, size }));
  }

  async summary(): Promise<readonly QueueSummary[]> {
    return mergeSummary((await this.#ask("summary")) as [Row[], Row[]]);
  }

  async list(filter: Parameters<QueueStore["list"]>[0]) {
    return ((await this.#ask("list", filter)) as Row[]).map(decodeSummary);
  }

  /** Waits for running and waiting commits, then closes the database. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#gather({ hurry: true });
    while (this.#isGathering || this.#unanswered > 0) await new Promise((resolve) => setImmediate(resolve));
    clearTimeout(this.#flushLater);
    if (this.#thread.dead === undefined) await this.#ask("close");
    await this.#thread.terminate();
  }

  /** Waits for the end of the turn, so that everything this turn applies is in the batch; without hurry for longer. */
  #gather({ hurry }: { hurry: boolean }): void {
    if (this.#isGathering || this.#waiting.length === 0 || this.#unanswered === MOST_UNANSWERED) return;
    if (!hurry) {
      this.#later ??= setTimeout(() => this.#gather({ hurry: true }), NO_HURRY_MS);
      return;
    }
    clearTimeout(this.#later);
    this.#later = undefined;
    this.#isGathering = true;
    setImmediate(() => void this.#commit());
  }

  async #commit(): Promise<void> {
    this.#isGathering = false;
    const batch = this.#nextBatch();
    const packed = packBatch(batch, { flush: batch.some(mustFlush) });
    this.#unanswered += 1;
    try {
      const result = (await this.#thread.ask("commit", [packed], [packed.octets])) as BatchResult;
      this.#settle(batch, result);
      this.#noteFlush(result.flushed);
    } catch (error) {
      for (const { reject } of batch) reject(error as Error);
    }
    this.#unanswered -= 1;
    this.#gather({ hurry: this.#closing !== undefined || this.#waiting.some(({ hurry }) => hurry) });
  }

  #noteFlush(flushed: boolean): void {
    if (!flushed) {
      this.#flushLater ??= setTimeout(() => void this.#flush(), FLUSH_MS);
      return;
    }
    clearTimeout(this.#flushLater);
    this.#flushLater = undefined;
  }

  /** Never rejects. */
  async #flush(): Promise<void> {
    this.#flushLater = undefined;
    if (this.#closing !== undefined) return; // Closing flushes.
    try {
      const unnamed = (await this.#ask("flush")) as string[];
      if (unnamed.length > 0) this.#events.onUnnamed(unnamed);
    } catch (error) {
      if (this.#thread.dead !== undefined) return;
      this.#noteFlush(false);
      this.#events.onFault(error as Error);
    }
  }

  #nextBatch(): Waiting[] {
    let octets = 0;
    let count = 0;
    while (count < this.#waiting.length && count < BATCH_CHANGES && octets < BATCH_OCTETS) {
      for (const { message } of this.#waiting[count]?.change.insert ?? []) octets += message.body.size;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  #settle(batch: readonly Waiting[], { faults, unnamed }: BatchResult): void {
    let last: QueueStoreError | undefined;
    for (const [index, { resolve, reject }] of batch.entries()) {
      const fault = faults[index] ?? null;
      if (fault === null) {
        resolve();
      } else {
        last = storeError("write to", fault);
        reject(last);
      }
    }
    if (unnamed.length > 0) this.#events.onUnnamed(unnamed);
    if (last !== undefined) this.#events.onFault(last);
  }

  #decodeOr(row: Row, damaged: DamagedItemError[]): QueueItem[] {
    try {
      return [decodeItem(row)];
    } catch (error) {
      if (!(error instanceof DamagedItemError)) throw error;
      damaged.push(error);
      return [];
    }
  }

  async #setAside(damaged: readonly DamagedItemError[]): Promise<void> {
    const amend = damaged.map(({ id, message }) => {
      return { id, queue: "Poison", status: "Suspended", lastError: message } as const;
    });
    await this.apply({ amend });
    for (const { id, cause } of damaged) this.#events.onDamaged(id, cause);
  }

  #ask(call: Request["call"], ...values: unknown[]): Promise<unknown> {
    return this.#thread.ask(call, values);
  }

  /** The thread has ended. */
  #refuseAll(error: QueueStoreError): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    if (this.#closing === undefined) this.#events.onFault(error);
  }
}

/** An insert in no hurry may be all that is left of a message whose sender is told: it is flushed all the same. */
function mustFlush({ hurry, change: { insert = [] } }: Waiting): boolean {
  return hurry || insert.length > 0;
}

function isEmpty({ insert = [], update = [], amend = [], remove = [] }: Change): boolean {
  return insert.length + update.length + amend.length + remove.length === 0;
}
