/**
 * Work queue: keys to be looked at, each by one worker at a time, as often as needed and no more.
 *
 * A key that is added while it waits is one piece of work; added while it runs, it runs once more. A run that rejects is
 * repeated with exponential backoff; one that resolves forgets the failures. Keys take turns in the order they fell due,
 * urgent ones first, but never all of the turns. What a run asks for by `againAfterMs` replaces every timer set before it.
 */
import type { MonotonicClock } from "../clock.ts";
import type { Logger } from "../log.ts";
import { Waker } from "../waker.ts";

export interface WorkQueueOptions {
  /** Looks at the key. Rejects when it shall be tried again. */
  process(key: string): Promise<WorkResult>;
  readonly clock: MonotonicClock;
  readonly log: Logger;
  /** Keys that run at the same time; default 1. */
  readonly concurrency?: number;
  /** A key waits that long after its last add; default 0. */
  readonly debounceMs?: number;
  /** But never longer than that after its first; default debounceMs. */
  readonly maxDebounceMs?: number;
  /** Wait after the first failure, doubled by each further one; default 5 ms to 5 min. */
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number };
  /** Told after each run, for metrics. */
  onRun?(run: WorkRun): void;
}

/** Nothing, or when to look again although nobody adds the key. */
// biome-ignore lint/suspicious/noConfusingVoidType: what a function resolves to that returns nothing.
export type WorkResult = void | undefined | { readonly againAfterMs?: number | undefined };

export interface WorkRun {
  readonly key: string;
  /** From falling due to the begin of the run. */
  readonly waitedMs: number;
  readonly tookMs: number;
  readonly failed: boolean;
}

export interface WorkQueue {
  /** Debounced. Urgent keys are taken before others. */
  add(key: string, options?: { readonly urgent?: boolean }): void;
  /** Runs it after `ms` at the latest. */
  addAfter(key: string, ms: number): void;
  /** Resolves when no key runs, waits for its turn, its debounce or its next try. Waits of addAfter don't count. */
  idle(): Promise<void>;
  /** Begins nothing more and resolves when what runs has ended. */
  stop(): Promise<void>;
  /** Keys that have fallen due and wait for their turn. */
  readonly depth: number;
}

export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  return new KeyedQueue(options);
}

const BACKOFF = { firstMs: 5, maxMs: 300_000 };
/** Every fourth turn goes to the key that waited longest among those that are not urgent. */
const COMMON_TURN = 4;

interface Waiting {
  /** First add that is not yet served. */
  readonly addedAt: number | undefined;
  /** End of the debounce. */
  readonly addDue: number;
  /** Set by addAfter, againAfterMs or a failure. */
  readonly laterDue: number;
  readonly retry: boolean;
  readonly urgent: boolean;
}

const NOTHING: Waiting = {
  addedAt: undefined,
  addDue: Number.POSITIVE_INFINITY,
  laterDue: Number.POSITIVE_INFINITY,
  retry: false,
  urgent: false,
};

class KeyedQueue implements WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waker: Waker;
  readonly #waiting = new Map<string, Waiting>();
  /** Key -> when it fell due; in the order of their turns. */
  readonly #ready = { urgent: new Map<string, number>(), common: new Map<string, number>() };
  readonly #running = new Set<string>();
  /** Fell due while it ran -> urgent. */
  readonly #again = new Map<string, boolean>();
  readonly #failures = new Map<string, number>();
  #idlers: (() => void)[] = [];
  #turns = 0;
  #pumpIsSet = false;
  #stopped = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    const { clock } = options;
    this.#waker = new Waker(
      { now: () => clock.monotonic(), sleep: (ms, signal) => clock.sleep(ms, signal) },
      () => this.#wake(),
    );
  }

  get depth(): number {
    return this.#ready.urgent.size + this.#ready.common.size;
  }

  add(key: string, { urgent = false }: { readonly urgent?: boolean } = {}): void {
    const { debounceMs = 0, maxDebounceMs = debounceMs } = this.#options;
    if (this.#ready.common.has(key) || this.#ready.urgent.has(key) || this.#again.has(key)) {
      if (urgent) this.#makeReady(key, true);
      return;
    }
    const now = this.#now();
    const before = this.#waiting.get(key) ?? NOTHING;
    const addedAt = before.addedAt ?? now;
    const addDue = Math.min(now + debounceMs, addedAt + Math.max(maxDebounceMs, debounceMs));
    this.#wait(key, { ...before, addedAt, addDue, urgent: urgent || before.urgent });
  }

  addAfter(key: string, ms: number): void {
    const before = this.#waiting.get(key) ?? NOTHING;
    this.#wait(key, { ...before, laterDue: Math.min(before.laterDue, this.#now() + ms) });
  }

  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idlers.push(resolve);
      this.#tellIdlers();
    });
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#waker.stop();
    for (const keys of [this.#waiting, this.#ready.urgent, this.#ready.common, this.#again]) keys.clear();
    return this.idle();
  }

  #now(): number {
    return this.#options.clock.monotonic();
  }

  #wait(key: string, waiting: Waiting): void {
    if (this.#stopped) return;
    const due = dueOf(waiting);
    if (due <= this.#now()) {
      this.#waiting.delete(key);
      this.#makeReady(key, waiting.urgent);
      return;
    }
    this.#waiting.set(key, waiting);
    this.#waker.set(due);
  }

  #wake(): void {
    const now = this.#now();
    let next = Number.POSITIVE_INFINITY;
    for (const [key, waiting] of this.#waiting) {
      const due = dueOf(waiting);
      if (due > now) {
        next = Math.min(next, due);
        continue;
      }
      this.#waiting.delete(key);
      this.#makeReady(key, waiting.urgent);
    }
    if (next !== Number.POSITIVE_INFINITY) this.#waker.set(next);
  }

  #makeReady(key: string, urgent: boolean): void {
    if (this.#running.has(key)) {
      this.#again.set(key, urgent || this.#again.get(key) === true);
      return;
    }
    const { urgent: first, common } = this.#ready;
    const since = first.get(key) ?? common.get(key) ?? this.#now();
    if (urgent || first.has(key)) {
      common.delete(key);
      first.set(key, since);
    } else common.set(key, since);
    this.#setPump();
  }

  /** After the adds of this turn of the event loop, so that an urgent one among them goes first. */
  #setPump(): void {
    if (this.#pumpIsSet) return;
    this.#pumpIsSet = true;
    queueMicrotask(() => {
      this.#pumpIsSet = false;
      while (this.#running.size < (this.#options.concurrency ?? 1)) {
        const next = this.#take();
        if (next === undefined) return;
        void this.#run(next.key, next.since);
      }
    });
  }

  #take(): { readonly key: string; readonly since: number } | undefined {
    const { urgent, common } = this.#ready;
    const commonsTurn = urgent.size === 0 || ((this.#turns + 1) % COMMON_TURN === 0 && common.size > 0);
    const keys = commonsTurn ? common : urgent;
    const [first] = keys;
    if (first === undefined) return undefined;
    if (urgent.size > 0) this.#turns += 1;
    keys.delete(first[0]);
    return { key: first[0], since: first[1] };
  }

  async #run(key: string, since: number): Promise<void> {
    this.#running.add(key);
    const begin = this.#now();
    const failed = !(await this.#succeeds(key));
    this.#running.delete(key);
    const again = this.#again.get(key);
    this.#again.delete(key);
    if (again !== undefined) this.#makeReady(key, again);
    else if (failed) this.#retryLater(key);
    this.#options.onRun?.({ key, waitedMs: begin - since, tookMs: this.#now() - begin, failed });
    this.#setPump();
    this.#tellIdlers();
  }

  async #succeeds(key: string): Promise<boolean> {
    try {
      const result = await this.#options.process(key);
      this.#failures.delete(key);
      if (result?.againAfterMs !== undefined) this.addAfter(key, result.againAfterMs);
      return true;
    } catch (err) {
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      this.#options.log.warn({ key, failures, err }, "work failed, tried again later");
      return false;
    }
  }

  #retryLater(key: string): void {
    const { firstMs, maxMs } = this.#options.backoff ?? BACKOFF;
    const failures = this.#failures.get(key) ?? 1;
    const laterDue = this.#now() + Math.min(firstMs * 2 ** (failures - 1), maxMs);
    const before = this.#waiting.get(key) ?? NOTHING;
    this.#wait(key, { ...before, laterDue: Math.min(before.laterDue, laterDue), retry: true });
  }

  #tellIdlers(): void {
    if (this.#running.size > 0 || this.depth > 0 || this.#someoneWaits()) return;
    const idlers = this.#idlers;
    this.#idlers = [];
    for (const tell of idlers) tell();
  }

  #someoneWaits(): boolean {
    return this.#waiting.values().some(({ retry, addedAt }) => retry || addedAt !== undefined);
  }
}

function dueOf({ addDue, laterDue }: Waiting): number {
  return Math.min(addDue, laterDue);
}
