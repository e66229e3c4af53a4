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
  stop(): void;
}

const FIELD_MANAGER = "postroom-transport";
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;

/** Begins to watch at once; nothing is written before the object is there and it is known what is in force. */
export function openPodReport(deps: PodReportDeps): PodReport {
  const { http, namespace, pod, clock, log } = deps;
  const place = { namespace, name: pod };
  const type = RESOURCES.TransportPod;
  const stopped = new AbortController();
  let wanted: Partial<TransportPodStatus> | undefined;
  /** As it stands there, as far as known; undefined: there is no object. */
  let live: Live | undefined;
  /** What was said last, and what the API server made of it: a field that somebody else holds stays there. */
  let taken: { readonly said: string; readonly stands: string } | undefined;
  let drain = false;
  let isWriting = false;

  const differs = () => {
    if (wanted === undefined || live === undefined || !isWorthSaying(wanted)) return false;
    const [said, stands] = [canonicalJson(wanted), canonicalJson(live.status)];
    return said !== stands && !(said === taken?.said && stands === taken.stands);
  };
  const writeOnce = async () => {
    const said = canonicalJson(wanted);
    const body = { apiVersion: apiVersion(type), kind: type.kind, metadata: place, status: wanted };
    const answer = await http.request({
      method: "PATCH",
      path: resourcePath(type, { ...place, subresource: "status" }),
      query: { fieldManager: FIELD_MANAGER, force: true },
      contentType: "application/apply-patch+yaml",
      body,
      signal: stopped.signal,
    });
    const now = liveOf(answer);
    taken = { said, stands: canonicalJson(now.status) };
    // The object may be gone by now, or another one have its name.
    if (live !== undefined && isNewer(now, live)) live = now;
  };
  const write = async () => {
    if (isWriting) return;
    isWriting = true;
    for (let pauseMs = FIRST_RETRY_MS; differs() && !stopped.signal.aborted; ) {
      try {
        await writeOnce();
        pauseMs = FIRST_RETRY_MS;
      } catch (cause) {
        if (stopped.signal.aborted) break;
        log.warn({ cause: String(cause), retryMs: pauseMs }, "status of this pod not written");
        await clock.sleep(pauseMs, stopped.signal).catch(() => {});
        pauseMs = Math.min(pauseMs * 2, LONGEST_RETRY_MS);
      }
    }
    isWriting = false;
  };
  const seen = (object: (Live & { readonly drain: boolean }) | undefined) => {
    if (object === undefined) {
      live = undefined;
      return;
    }
    if (live === undefined || live.uid !== object.uid || isNewer(object, live)) live = object;
    if (object.drain !== drain) {
      drain = object.drain;
      deps.onDrain(drain);
    }
    void write();
  };
  const reflector = startReflector({
    ...{ http, clock, log, namespace, type },
    fieldSelector: `metadata.name=${pod}`,
    transform: (object: KubeObject) => ({
      ...liveOf(object),
      drain: wantsDrain(object),
    }),
    onChange: ({ now }) => seen(now),
  });
  return {
    say(part) {
      wanted = { draining: false, drained: false, ...wanted, ...part };
      void write();
    },
    stop() {
      stopped.abort();
      reflector.stop();
    },
  };
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
  const [a, b] = [seen.resourceVersion, known.resourceVersion];
  if (a === undefined || b === undefined || !/^\d+$/.test(a + b)) return true;
  return a.length === b.length ? a > b : a.length > b.length;
}
