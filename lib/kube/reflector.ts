/**
 * startReflector: a collection of the API server, held in memory and kept as it is there.
 *
 * Lists page by page, consistently; then watches from where the list ended, and again from where the last watch ended.
 * Lists anew only when the server says that this is too long ago, or when it refuses. Whatever fails is tried again
 * until stop(), with growing rests; what vanished meanwhile is told, what stayed the same is not.
 *
 * @module
 */
import type { Clock } from "../clock.ts";
import type { Logger } from "../log.ts";
import { isRetriable, KubeError } from "./errors.ts";
import { objectKey, resourcePath } from "./paths.ts";
import { Backoff } from "./reflector-backoff.ts";
import { ReflectorStore, type StoreOptions } from "./reflector-store.ts";
import type { KubeHttp, KubeObject, ListOf, Reflector, WatchEvent } from "./types.ts";

export interface ReflectorOptions<Item> extends StoreOptions<Item> {
  readonly http: KubeHttp;
  readonly clock: Clock;
  readonly log: Logger;
  /** Left out: of all namespaces, or cluster-scoped. */
  readonly namespace?: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
  /** Objects a page; halved when an answer is too large. Default 500. */
  readonly pageSize?: number;
  /** Dice in [0, 1); default Math.random. */
  readonly random?: () => number;
  /** A watch that was not heard since the list is opened anew after so long, then after twice as long; default 20 s. */
  readonly unheardMs?: number;
}

const PAGE_TIMEOUT_MS = 60_000;
/** The server ends a watch after this many seconds, or up to twice as many. */
const WATCH_SECONDS = 290;
/** Bookmarks come every minute, the first after two. A peer that is gone is found by TCP's own probes long before. */
const SILENCE_MS = 150_000;
/**
 * After a list, until the watch was heard. A server that takes up a new definition may answer a watch and never tell it
 * of anything; going on from the same place costs one call.
 */
const UNHEARD_MS = 20_000;
/** Whoever asks for a longer rest is not the API server. */
const LONGEST_ASKED_MS = 120_000;
/** A watch that ends sooner was none. */
const SHORT_MS = 5000;
/** An API server that is away for an hour is no reason for a thousand lines. */
const WARN_EVERY_MS = 60_000;
/** A list of ten thousand objects costs the server; to go on with a watch costs it nothing. */
const LIST_BACKOFF = { firstMs: 500, maxMs: 30_000, healthyMs: 60_000 };
const WATCH_BACKOFF = { firstMs: 500, maxMs: 5000, healthyMs: SHORT_MS };

/** Changes are told from the first list on, before `synced` resolves; `synced` of a reflector stopped before stays pending. */
export function startReflector<Item>(options: ReflectorOptions<Item>): Reflector<Item> {
  const reflector = new RunningReflector(options);
  reflector.run();
  return reflector;
}

class RunningReflector<Item> implements Reflector<Item> {
  readonly #options: ReflectorOptions<Item>;
  readonly #store: ReflectorStore<Item>;
  readonly #listBackoff: Backoff;
  readonly #watchBackoff: Backoff;
  readonly #random: () => number;
  readonly #path: string;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #synced = Promise.withResolvers<void>();
  #isSynced = false;
  #warnedAt: number | undefined;
  #pageSize: number;
  /** Where to watch from; undefined: list first. */
  #resourceVersion: string | undefined;
  #silenceMs: number;

  constructor(options: ReflectorOptions<Item>) {
    const { type, namespace, log, random = Math.random, pageSize = 500, unheardMs = UNHEARD_MS } = options;
    this.#options = options;
    this.#silenceMs = unheardMs;
    this.#store = new ReflectorStore(options);
    this.#random = random;
    this.#listBackoff = new Backoff({ ...LIST_BACKOFF, random });
    this.#watchBackoff = new Backoff({ ...WATCH_BACKOFF, random });
    this.#path = resourcePath(type, { namespace });
    this.#log = log.child({ resource: type.plural, namespace });
    this.#pageSize = pageSize;
  }

  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  get size(): number {
    return this.#store.size;
  }

  get(key: string): Item | undefined {
    return this.#store.get(key);
  }

  items(): IterableIterator<Item> {
    return this.#store.items();
  }

  stop(): void {
    this.#store.close();
    this.#stop.abort();
  }

  async run(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#stop.signal.aborted) {
      const began = clock.now();
      const failure = await this.#round().catch((error: unknown) => error);
      if (this.#stop.signal.aborted) return;
      const ranForMs = clock.now() - began;
      if (failure === undefined && ranForMs >= SHORT_MS) continue;
      const restMs = this.#restMs(failure, ranForMs);
      this.#report(failure, restMs);
      await clock.sleep(restMs, this.#stop.signal).catch(() => undefined);
    }
  }

  /** Lists when that is due, then watches until the watch ends. */
  async #round(): Promise<void> {
    if (this.#resourceVersion === undefined) await this.#list();
    try {
      await this.#watch();
    } catch (error) {
      if (!mayResume(error)) this.#resourceVersion = undefined;
      if (!isSilence(error)) throw error;
      this.#silenceMs = Math.min(this.#silenceMs * 2, SILENCE_MS);
      this.#log.debug("watch was silent and is opened anew");
    }
  }

  async #list(): Promise<void> {
    const keys = new Set<string>();
    let page: ListOf | undefined;
    do {
      page = await this.#page(page?.metadata.continue);
      for (const object of page.items) keys.add(this.#store.put(object));
    } while (page.metadata.continue && !this.#stop.signal.aborted);
    if (this.#stop.signal.aborted) return;
    this.#store.keepOnly(keys);
    this.#resourceVersion = page.metadata.resourceVersion;
    this.#silenceMs = this.#options.unheardMs ?? UNHEARD_MS;
    this.#log.debug({ objects: this.#store.size }, "collection is listed");
    this.#isSynced = true;
    this.#synced.resolve();
  }

  async #page(next: string | undefined): Promise<ListOf> {
    const { http, fieldSelector, labelSelector } = this.#options;
    for (;;) {
      try {
        return await http.request<ListOf>({
          method: "GET",
          path: this.#path,
          query: { limit: this.#pageSize, continue: next || undefined, fieldSelector, labelSelector },
          signal: this.#stop.signal,
          timeoutMs: PAGE_TIMEOUT_MS,
        });
      } catch (error) {
        const tooLarge = error instanceof KubeError && error.code === "too-large";
        if (!tooLarge || this.#pageSize === 1) throw error;
        this.#pageSize = Math.floor(this.#pageSize / 2);
      }
    }
  }

  async #watch(): Promise<void> {
    const { http, fieldSelector, labelSelector } = this.#options;
    const events = http.watch({
      path: this.#path,
      query: {
        resourceVersion: this.#resourceVersion,
        allowWatchBookmarks: true,
        timeoutSeconds: Math.round(WATCH_SECONDS * (1 + this.#random())),
        fieldSelector,
        labelSelector,
      },
      signal: this.#stop.signal,
      silenceMs: this.#silenceMs,
    });
    for await (const event of events) {
      if (this.#stop.signal.aborted) return;
      this.#take(event);
    }
  }

  #take({ type, object }: WatchEvent): void {
    const { metadata } = object as KubeObject;
    this.#silenceMs = SILENCE_MS;
    if (type === "DELETED") this.#store.remove(objectKey(metadata));
    else if (type !== "BOOKMARK") this.#store.put(object as KubeObject);
    this.#resourceVersion = metadata.resourceVersion ?? this.#resourceVersion;
  }

  #restMs(failure: unknown, ranForMs: number): number {
    const asked = failure instanceof KubeError ? (failure.retryAfterMs ?? 0) : 0;
    const backoff = this.#resourceVersion === undefined ? this.#listBackoff : this.#watchBackoff;
    return Math.max(Math.min(asked, LONGEST_ASKED_MS), backoff.next(ranForMs));
  }

  #report(failure: unknown, restMs: number): void {
    if (failure === undefined) {
      this.#log.debug({ restMs }, "watch ended early");
      return;
    }
    const now = this.#options.clock.now();
    const isLately = this.#warnedAt !== undefined && Math.abs(now - this.#warnedAt) < WARN_EVERY_MS;
    if (!isLately) this.#warnedAt = now;
    this.#log[isLately ? "debug" : "warn"](
      { restMs, err: failure },
      "collection cannot be followed and is tried again",
    );
  }
}

/** The connection ended, not the watch's place in history. A fault in the stream would come again at the same place. */
function mayResume(error: unknown): boolean {
  if (!(error instanceof KubeError)) return false;
  return (isRetriable(error) && error.status !== 500) || error.code === "tls";
}

function isSilence(error: unknown): boolean {
  return error instanceof KubeError && error.code === "timeout";
}
