/**
 * Postponed: updates that need not be on disk at once, because after a crash they are decided again.
 *
 * They wait a quarter of a second. What is changed or removed before that was never written; the usual message is
 * categorized and delivered without its row being touched between. Whoever reads the store has them written first.
 * An update that cannot be written stays here and is tried again; the store has told of the fault.
 *
 * @module
 */
import type { Clock } from "../../lib/clock.ts";
import { SteadyMap } from "../../lib/steady-map.ts";
import { Waker } from "../../lib/waker.ts";
import type { ApplyOptions, Change, QueueItem, QueueStore } from "./store.ts";

export interface PostponedParts {
  readonly store: QueueStore;
  readonly clock: Clock;
  /** The item as the store can take it: its body may be in memory only. */
  place(item: QueueItem): QueueItem | Promise<QueueItem>;
  /** A row on disk names its body now, though a change under way may have taken the item over meanwhile. */
  onNamed(item: QueueItem): void;
  /** The item is on disk now, and nothing newer is under way. */
  onWritten(item: QueueItem): void;
}

interface Entry {
  readonly item: QueueItem;
  /** What the store holds of it; undefined: nobody is sure. */
  base: QueueItem | undefined;
  writing: boolean;
}

/** Postponed updates that a change took over; they wait again when it fails. */
export type TakenOver = ReadonlyMap<string, Entry>;

const NONE: TakenOver = new Map();
const PAUSE_MS = 250;
const PAUSE_AFTER_FAULT_MS = 5000;
const MOST = 1000;
/** Of bodies in memory. */
const MOST_OCTETS = 32 * 1024 * 1024;

export class Postponed {
  readonly #parts: PostponedParts;
  readonly #waker: Waker;
  readonly #entries = new SteadyMap<Entry>();
  #flushing: Promise<void> | undefined;
  #failed = false;
  #octets = 0;

  constructor(parts: PostponedParts) {
    this.#parts = parts;
    this.#waker = new Waker(parts.clock, () => void this.flush({ hurry: false }));
  }

  /** False when too much waits, or the disk takes no more: then the update has to be written at once. */
  hasRoom(): boolean {
    return this.#entries.size < MOST && this.#octets < MOST_OCTETS && !this.#failed;
  }

  /** `base`: what the store holds of the item. */
  put(item: QueueItem, base: QueueItem | undefined): void {
    const { id } = item.message;
    this.#drop(id);
    this.#entries.set(id, { item, base, writing: false });
    this.#octets += octetsOf(item);
    this.#arm();
  }

  ids(): Iterable<string> {
    return this.#entries.keys();
  }

  /** What the store holds of an item that waits here; undefined while it is being written. */
  base(id: string): QueueItem | undefined {
    const entry = this.#entries.get(id);
    return entry?.writing === true ? undefined : entry?.base;
  }

  has(id: string): boolean {
    return this.#entries.has(id);
  }

  /** A change of the same items is about to be applied: the change as it must be, and what it took over. */
  takeOver(change: Change): { change: Change; taken: TakenOver } {
    if (this.#entries.size === 0) return { change, taken: NONE };
    const taken = new Map<string, Entry>();
    const take = (id: string) => {
      const entry = this.#entries.get(id);
      if (entry === undefined) return;
      taken.set(id, entry);
      this.#drop(id);
    };
    const { update = [], amend, remove = [] } = change;
    for (const { message } of update) take(message.id);
    for (const id of remove) take(id);
    if (amend === undefined) return { change, taken };
    const amended = amend.filter(({ id }) => this.#entries.has(id));
    if (amended.length === 0) return { change, taken };
    const first = amended.flatMap(({ id }) => this.#entries.get(id)?.item ?? []);
    for (const { id } of amended) take(id);
    return { change: { ...change, update: [...update, ...first] }, taken };
  }

  /** The change that took them over failed. */
  putBack(taken: TakenOver): void {
    for (const [id, { item }] of taken) if (!this.#entries.has(id)) this.put(item, undefined);
  }

  /** Writes what waits, and waits for what is being written. Never rejects. */
  async flush(options: ApplyOptions = {}): Promise<void> {
    if (this.#entries.size === 0) {
      this.#failed = false; // What could not be written has gone another way.
      return;
    }
    const entries = [...this.#entries.values()].filter(({ writing }) => !writing);
    const writing = [this.#flushing, ...entries.map((entry) => this.#write(entry, options))];
    this.#flushing = Promise.all(writing).then(() => undefined);
    await this.#flushing;
  }

  /** No more turns of its own; flush() still writes. */
  stop(): void {
    this.#waker.stop();
  }

  async #write(entry: Entry, options: ApplyOptions): Promise<void> {
    const { item, base } = entry;
    const { id } = item.message;
    entry.writing = true;
    try {
      const placing = this.#parts.place(item);
      const placed = placing instanceof Promise ? await placing : placing;
      // Its body took a while: a change that came meanwhile has taken it over, or removed it.
      if (this.#entries.get(id) !== entry) return;
      await this.#parts.store.apply({ update: [placed] }, base && new Map([[id, base]]), options);
      this.#failed = false;
      this.#parts.onNamed(placed);
      if (this.#entries.get(id) !== entry) return;
      this.#drop(id);
      this.#parts.onWritten(placed);
    } catch {
      this.#failed = true;
      entry.base = undefined;
      this.#arm();
    } finally {
      entry.writing = false;
    }
  }

  #drop(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    this.#octets -= octetsOf(entry.item);
  }

  #arm(): void {
    this.#waker.set(this.#parts.clock.now() + (this.#failed ? PAUSE_AFTER_FAULT_MS : PAUSE_MS));
  }
}

function octetsOf({ message: { body } }: QueueItem): number {
  return body.kind === "inline" ? body.size : 0;
}
