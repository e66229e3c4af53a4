/**
 * PodReport: this pod's own object in the cluster (TransportPod). It hears there whether to drain, and says there what it does.
 *
 * Only the newest status is written, at once, and only when another one stands there: an idle pod writes nothing. A write
 * that fails is tried again until it, or a newer one, is taken.
 *
 * @module
 */
import type { TransportPodSpec, TransportPodStatus } from "../crds/delivery-kinds.ts";
import type { Clock } from "../lib/clock.ts";
import { apiVersion, RESOURCES, resourcePath } from "../lib/kube/paths.ts";
import { startReflector } from "../lib/kube/reflector.ts";
import type { KubeHttp, KubeObject } from "../lib/kube/types.ts";
import { compareVersions } from "../lib/kube/versions.ts";
import type { Logger } from "../lib/log.ts";
import { canonicalJson } from "../snapshot/mod.ts";

export interface PodReportDeps {
  readonly http: KubeHttp;
  readonly namespace: string;
  readonly pod: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** The operator wants it drained, or no longer. */
  onDrain(drain: boolean): void;
}

export interface PodReport {
  /** Says what is true from now on; `undefined` takes a field back. */
  say(part: Partial<TransportPodStatus>): void;
  /** Resolves when what was said stands there, or there is nowhere to say it. */
  said(): Promise<void>;
  stop(): void;
}

const FIELD_MANAGER = "postroom-transport";
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 5000;
/** An API server that is away for an hour is no reason for a thousand lines. */
const WARN_EVERY_MS = 60_000;

/** Begins to watch at once; nothing is written before the object is there and it is known what is in force. */
export function openPodReport(deps: PodReportDeps): PodReport {
  const { http, namespace, pod, clock, log } = deps;
  const status = new WrittenStatus(deps);
  let drain = false;
  const reflector = startReflector({
    ...{ http, clock, log, namespace, type: RESOURCES.TransportPod },
    fieldSelector: `metadata.name=${pod}`,
    transform: (object: KubeObject) => ({ ...liveOf(object), drain: wantsDrain(object) }),
    onChange({ now }) {
      status.seen(now);
      if (now === undefined || now.drain === drain) return;
      drain = now.drain;
      deps.onDrain(drain);
    },
  });
  return {
    say: (part) => status.say(part),
    said: () => status.written,
    stop() {
      status.stop();
      reflector.stop();
    },
  };
}

/** The status as this pod wants it, and as it stands in the cluster. */
class WrittenStatus {
  readonly #deps: PodReportDeps;
  readonly #stopped = new AbortController();
  #wanted: Partial<TransportPodStatus> | undefined;
  /** As far as known; undefined: there is no object. */
  #live: Live | undefined;
  /** What was said last, and what the API server made of it: a field that somebody else holds stays there. */
  #taken: { readonly said: string; readonly stands: string } | undefined;
  #warnedAt: number | undefined;
  #isWriting = false;
  #written: Promise<void> = Promise.resolve();

  constructor(deps: PodReportDeps) {
    this.#deps = deps;
  }

  /** Resolves when nothing is being written. */
  get written(): Promise<void> {
    return this.#written;
  }

  say(part: Partial<TransportPodStatus>): void {
    this.#wanted = { draining: false, drained: false, ...this.#wanted, ...part };
    this.#write();
  }

  seen(object: Live | undefined): void {
    const live = this.#live;
    if (object === undefined || live === undefined || live.uid !== object.uid || isNewer(object, live))
      this.#live = object;
    this.#write();
  }

  stop(): void {
    this.#stopped.abort();
  }

  #differs(): boolean {
    const [wanted, live, taken] = [this.#wanted, this.#live, this.#taken];
    if (wanted === undefined || live === undefined || !isWorthSaying(wanted)) return false;
    const [said, stands] = [canonicalJson(wanted), canonicalJson(live.status)];
    return said !== stands && !(said === taken?.said && stands === taken.stands);
  }

  #write(): void {
    if (!this.#isWriting) this.#written = this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    const { clock } = this.#deps;
    const { signal } = this.#stopped;
    this.#isWriting = true;
    for (let pauseMs = FIRST_RETRY_MS; this.#differs() && !signal.aborted; ) {
      try {
        await this.#writeOnce();
        pauseMs = FIRST_RETRY_MS;
      } catch (cause) {
        if (signal.aborted) break;
        this.#report(cause, pauseMs);
        await clock.sleep(pauseMs, signal).catch(() => {});
        pauseMs = Math.min(pauseMs * 2, LONGEST_RETRY_MS);
      }
    }
    this.#isWriting = false;
  }

  #report(cause: unknown, retryMs: number): void {
    const now = this.#deps.clock.now();
    const isLately = this.#warnedAt !== undefined && Math.abs(now - this.#warnedAt) < WARN_EVERY_MS;
    if (!isLately) this.#warnedAt = now;
    this.#deps.log[isLately ? "debug" : "warn"](
      { cause: String(cause), retryMs },
      "status of this pod not written",
    );
  }

  async #writeOnce(): Promise<void> {
    const { http, namespace, pod } = this.#deps;
    const type = RESOURCES.TransportPod;
    const place = { namespace, name: pod };
    const said = canonicalJson(this.#wanted);
    const answer = await http.request<KubeObject>({
      method: "PATCH",
      path: resourcePath(type, { ...place, subresource: "status" }),
      query: { fieldManager: FIELD_MANAGER, force: true },
      contentType: "application/apply-patch+yaml",
      body: { apiVersion: apiVersion(type), kind: type.kind, metadata: place, status: this.#wanted },
      signal: this.#stopped.signal,
    });
    const now = liveOf(answer);
    this.#taken = { said, stands: canonicalJson(now.status) };
    // The object may be gone by now, or another one have its name.
    if (this.#live !== undefined && isNewer(now, this.#live)) this.#live = now;
  }
}

interface Live {
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly status: unknown;
}

/** Until then what the last process of this pod said stands. */
function isWorthSaying({ snapshot, refused, draining }: Partial<TransportPodStatus>): boolean {
  return snapshot !== undefined || refused !== undefined || draining === true;
}

function liveOf({ metadata: { uid, resourceVersion }, status }: KubeObject): Live {
  return { uid, resourceVersion, status: status ?? {} };
}

/** All that is asked of the spec: fields of a newer operator keep no drain from being heard. */
function wantsDrain({ spec }: KubeObject): boolean {
  return (spec as Partial<TransportPodSpec> | undefined)?.drain === true;
}

/** What the watch brings may be older than the answer to our own write, and the other way round. */
function isNewer(seen: Live, known: Live): boolean {
  return (compareVersions(seen.resourceVersion, known.resourceVersion) ?? 1) > 0;
}
