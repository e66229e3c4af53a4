/**
 * The transport: wires source, shares and reports. Reading this file and share.ts is reading the flow.
 *
 * source (a folder, the cluster) -> reload -> every share: pipeline; smtp -> intake (agents) -> queue -> categorize
 * (categorizer, policy) -> queue -> dispatch (delivery) -> settle -> queue or DSN. Rooms (rooms.ts) know nothing of each other.
 *
 * @module
 */
import { type HttpService, serveHttp } from "../lib/http.ts";
import type { KubeHttp } from "../lib/kube/types.ts";
import type { LogOptions } from "../lib/log.ts";
import { mergeMetrics } from "../lib/merge-metrics.ts";
import type { Agent } from "./agents/mod.ts";
import { openClusterSource, type PodPlace } from "./cluster-source.ts";
import type { ConfigurationSource } from "./configuration-source.ts";
import { type FolderOptions, openFolderSource } from "./folder-source.ts";
import { ownMemoryLimit } from "./housekeeping.ts";
import { Life } from "./life.ts";
import { openPodReport } from "./pod-report.ts";
import { putInForce } from "./put-in-force.ts";
import { type QueueReport, startQueueReport } from "./queue-report.ts";
import { createReload } from "./reload.ts";
import { type Base, openBase, type RoomOptions } from "./rooms.ts";
import { openShares } from "./shares.ts";
import { openSnapshotStore, type SnapshotStore } from "./snapshot-store.ts";

export interface ClusterOptions extends PodPlace {
  /** Closed at the end. */
  readonly http: KubeHttp;
}

export interface TransportOptions extends Omit<RoomOptions, "part" | "poisonThreshold"> {
  /** Where the configuration comes from. */
  readonly source: { readonly folder: FolderOptions } | { readonly cluster: ClusterOptions };
  /** host:port of /healthz, /readyz and /metrics; undefined: none. */
  readonly http?: { readonly host: string; readonly port: number } | undefined;
  /** Ends the wait for a first configuration from the cluster. */
  readonly signal?: AbortSignal | undefined;
  readonly memoryLimit?: number | undefined;
  /** Instead of the built-in agents. */
  readonly agents?: readonly Agent<unknown>[] | undefined;
  /** Threads that take and deliver mail; undefined or 1: this thread does. */
  readonly workers?: number | undefined;
  /** How further threads log, to standard output. undefined: as JSON, at the level of `log`. */
  readonly threadLog?: LogOptions | undefined;
}

export interface Transport {
  /** Bound SMTP addresses. */
  bindings(): readonly { readonly address: string; readonly port: number }[];
  readonly httpPort: number | undefined;
  /** Open transactions may end for at most graceMs; then everything is closed. */
  stop(graceMs?: number): Promise<void>;
}

/** An API server that does not take what this pod says last by then is not waited for. */
const LAST_WORD_MS = 1000;

/**
 * Starts everything; resolves when the first configuration is in force. Rejects when the state folder is in use, and when
 * a folder holds no valid MailTransport.
 */
export async function startTransport(options: TransportOptions): Promise<Transport> {
  const base = openBase(options);
  const { workers = 1, memoryLimit = ownMemoryLimit() } = options;
  const { threadLog = { level: options.log.level, pretty: false } } = options;
  const shareOptions = { ...options, workers, memoryLimit, threadLog };
  const life = new Life({
    clock: base.clock,
    openShare: (poisonThreshold) => openShares({ ...shareOptions, poisonThreshold }, base),
  });
  try {
    const store = await openSnapshotStore(options.state, base.room("reload"));
    const source = await openSource(options, base, { life, store });
    const reload = createReload({
      ...{ ...base, source, store, log: base.room("reload") },
      open: async ({ snapshot }) => void (await life.open(snapshot.transport.queue.poisonThreshold)),
      apply: async (next) => putInForce(next, await life.open(), { wholly: source.hearsRefusals }),
    });
    life.onStop(reload.stop);
    const isInForce = () => reload.current() !== undefined;
    const http = await openHttp(options, base, { life, source, isInForce });
    await reload.start(options.signal);
    const { bindings } = await life.startWork();
    return { bindings, httpPort: http?.port, stop: (graceMs = 10_000) => life.stop(graceMs) };
  } catch (cause) {
    await life.stop(0);
    throw cause;
  }
}

/** A folder of manifests; or the cluster, where this pod is also told to drain, and says what it does. */
async function openSource(
  { source, state, workers = 1 }: TransportOptions,
  { clock, room }: Base,
  { life, store }: { readonly life: Life; readonly store: SnapshotStore },
): Promise<ConfigurationSource> {
  const log = room("reload");
  if ("folder" in source) {
    const previous = (await store.last())?.snapshot;
    return await openFolderSource(source.folder, { state, previous, workers, clock, log });
  }
  const { cluster } = source;
  let queueReport: QueueReport | undefined;
  const drain = async (draining: boolean) => {
    await life.drain(draining);
    queueReport?.look();
  };
  const report = openPodReport({
    ...{ ...cluster, clock, log },
    onDrain(draining) {
      drain(draining).catch((cause: unknown) => log.error({ cause: String(cause) }, "drain not begun"));
    },
  });
  life.onOpen((share) => {
    const isDraining = () => life.isDraining;
    queueReport = startQueueReport({ share, isDraining, clock, log, say: report.say });
    life.onStop(queueReport.stop);
    return queueReport.first;
  });
  life.onQuiet(async () => {
    await queueReport?.last();
    await Promise.race([report.said(), clock.sleep(LAST_WORD_MS)]);
  });
  life.onEnd(async () => {
    report.stop();
    cluster.http.close();
  });
  return openClusterSource({ ...cluster, store, clock, log, say: report.say });
}

interface HttpDeps {
  readonly life: Life;
  readonly source: ConfigurationSource;
  isInForce(): boolean;
}

async function openHttp(
  { http }: TransportOptions,
  { metrics: { registry } }: Base,
  { life, source, isInForce }: HttpDeps,
): Promise<HttpService | undefined> {
  if (http === undefined) return undefined;
  const service = await serveHttp(http.host, http.port, {
    ready() {
      if (!life.takesMail) return { ok: false, reason: "draining" };
      return { ok: isInForce(), reason: `no configuration is in force: ${source.waitsFor()}` };
    },
    async metrics() {
      const ofShares = (await life.share?.metrics()) ?? [];
      return { contentType: registry.contentType, text: await mergeMetrics(registry, ofShares) };
    },
  });
  life.onEnd(service.close);
  return service;
}
