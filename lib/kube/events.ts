/**
 * Events (events.k8s.io/v1): what `kubectl describe` shows of an object's life.
 *
 * The same event again within ten minutes is one more in its series, written at once the first time and then once a minute.
 * New ones are limited for each object: 25 at once, then one in 5 seconds. What is over the limit, or refused, is dropped:
 * an event is news, the truth is in the status.
 */
import { randomBytes } from "node:crypto";
import type { MonotonicClock } from "../clock.ts";
import type { Logger } from "../log.ts";
import { isAlreadyExists, isNamespaceTerminating, isNotFound, isRetriable } from "./errors.ts";
import { RESOURCES, resourcePath } from "./paths.ts";
import type { KubeHttp } from "./types.ts";
import { createWorkQueue, type WorkResult } from "./work-queue.ts";

export interface EventRecorderOptions {
  readonly http: KubeHttp;
  readonly clock: MonotonicClock;
  readonly log: Logger;
  /** reportingController: "postroom.dev/operator". */
  readonly reporter: string;
  /** reportingInstance: the Pod. */
  readonly instance: string;
}

export interface EventNote {
  readonly regarding: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid?: string | undefined;
  };
  readonly type: "Normal" | "Warning";
  /** Why, CamelCase, at most 128 characters. */
  readonly reason: string;
  /** What was done or tried, CamelCase, at most 128 characters. */
  readonly action: string;
  /** For people; cut at 1,024 octets. */
  readonly note: string;
}

export interface EventRecorder {
  /** Notes the event; it is written soon. Never throws. */
  record(event: EventNote): void;
  /** Resolves when what is new is written or given up. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new Recorder(options);
}

const SERIES_MS = 600_000;
const SERIES_WRITE_MS = 60_000;
const BURST = 25;
const TOKEN_MS = 5000;
/** Series and objects remembered; the longest unheard-of is forgotten first. */
const MAX_REMEMBERED = 1000;
const MAX_TRIES = 8;
const MAX_NOTE_OCTETS = 1024;
/** A name has 253 characters, 17 of which are ours. */
const MAX_NAME = 236;

interface Series {
  readonly event: EventNote;
  readonly name: string;
  readonly eventTime: string;
  count: number;
  /** monotonic(). */
  lastAt: number;
  lastTime: string;
  /** The count that the server knows; 0: it knows nothing of it. */
  writtenCount: number;
  writtenAt: number;
  tries: number;
}

class Recorder implements EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #series = new Map<string, Series>();
  /** Object -> when its bucket will be full again. */
  readonly #fullAt = new Map<string, number>();
  readonly #queue;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#queue = createWorkQueue({
      clock: options.clock,
      log: options.log,
      backoff: { firstMs: 1000, maxMs: 60_000 },
      process: (key) => this.#write(key),
    });
  }

  record(event: EventNote): void {
    const { clock, log } = this.#options;
    const now = clock.monotonic();
    const key = JSON.stringify(event);
    const known = this.#series.get(key);
    const before = known !== undefined && now - known.lastAt <= SERIES_MS ? known : undefined;
    if (before === undefined && !this.#mayBegin(event, now)) {
      const { kind, namespace, name } = event.regarding;
      log.debug({ object: `${kind}/${namespace}/${name}`, reason: event.reason }, "event dropped, too many");
      return;
    }
    const series = before ?? this.#begin(event);
    series.count += 1;
    series.lastAt = now;
    series.lastTime = this.#microTime();
    remember(this.#series, key, series);
    this.#queue.add(key);
  }

  idle(): Promise<void> {
    return this.#queue.idle();
  }

  stop(): Promise<void> {
    return this.#queue.stop();
  }

  #begin(event: EventNote): Series {
    const stem = event.regarding.name.slice(0, MAX_NAME).replace(/[^a-z0-9]+$/, "");
    return {
      event,
      name: `${stem}.${randomBytes(8).toString("hex")}`,
      eventTime: this.#microTime(),
      count: 0,
      lastAt: 0,
      lastTime: "",
      writtenCount: 0,
      writtenAt: 0,
      tries: 0,
    };
  }

  /** A token bucket for each object, kept as the time when it is full again. */
  #mayBegin({ regarding }: EventNote, now: number): boolean {
    const object = `${regarding.kind}/${regarding.namespace}/${regarding.name}`;
    const fullAt = Math.max(this.#fullAt.get(object) ?? 0, now) + TOKEN_MS;
    if (fullAt - now > BURST * TOKEN_MS) return false;
    remember(this.#fullAt, object, fullAt);
    return true;
  }

  async #write(key: string): Promise<WorkResult> {
    const series = this.#series.get(key);
    if (series === undefined || series.count === series.writtenCount) return undefined;
    const now = this.#options.clock.monotonic();
    const rest = series.writtenAt + SERIES_WRITE_MS - now;
    if (series.writtenCount > 1 && rest > 0) return { againAfterMs: rest };
    const { count } = series;
    try {
      await (series.writtenCount === 0 ? this.#create(series) : this.#update(series));
    } catch (error) {
      this.#failed(key, error);
      return undefined;
    }
    series.writtenCount = count;
    series.writtenAt = now;
    series.tries = 0;
    return undefined;
  }

  async #create(series: Series): Promise<void> {
    const { event, name, eventTime } = series;
    const { namespace } = event.regarding;
    const { reporter, instance } = this.#options;
    const call = {
      method: "POST",
      path: resourcePath(RESOURCES.Event, { namespace }),
      body: {
        apiVersion: "events.k8s.io/v1",
        kind: "Event",
        metadata: { name, namespace },
        eventTime,
        reportingController: reporter,
        reportingInstance: instance,
        ...event,
        note: cut(event.note),
        ...(series.count > 1 && { series: seriesOf(series) }),
      },
    } as const;
    await this.#options.http.request(call).catch((error: unknown) => {
      // An earlier try was taken, and only its answer was lost.
      if (!isAlreadyExists(error)) throw error;
    });
  }

  async #update(series: Series): Promise<void> {
    const { name, event } = series;
    const { namespace } = event.regarding;
    const call = {
      method: "PATCH",
      path: resourcePath(RESOURCES.Event, { namespace, name }),
      contentType: "application/merge-patch+json",
      body: { series: seriesOf(series) },
    } as const;
    await this.#options.http.request(call).catch((error: unknown) => {
      // Events live for an hour.
      if (isNotFound(error)) return this.#create(series);
      throw error;
    });
  }

  #failed(key: string, error: unknown): void {
    const series = this.#series.get(key);
    if (series !== undefined && isRetriable(error) && series.tries < MAX_TRIES) {
      series.tries += 1;
      throw error;
    }
    this.#series.delete(key);
    if (isNamespaceTerminating(error)) return;
    this.#options.log.warn({ reason: series?.event.reason, err: error }, "event not written");
  }

  #microTime(): string {
    return new Date(this.#options.clock.now()).toISOString().replace("Z", "000Z");
  }
}

function seriesOf({ count, lastTime }: Series) {
  return { count, lastObservedTime: lastTime };
}

/** Sets it as the newest entry and forgets the oldest. */
function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > MAX_REMEMBERED && oldest !== undefined) map.delete(oldest);
}

function cut(note: string): string {
  if (Buffer.byteLength(note) <= MAX_NOTE_OCTETS) return note;
  const kept = Buffer.from(note)
    .subarray(0, MAX_NOTE_OCTETS - 3)
    .toString("utf8");
  return `${kept.replace(/\uFFFD+$/, "")}...`;
}
