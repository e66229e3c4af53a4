/**
 * The transport: wires the rooms. Reading this file is reading the flow.
 *
 * source (a folder, the cluster) -> reload -> pipeline; smtp -> intake (agents) -> queue -> categorize (categorizer, policy)
 * -> queue -> dispatch (delivery) -> settle -> queue or DSN. Rooms (rooms.ts) know nothing of each other.
 *
 * @module
 */
import { type HttpService, serveHttp } from "../lib/http.ts";
import type { KubeHttp } from "../lib/kube/types.ts";
import type { Agent } from "./agents/mod.ts";
import { startCategorizer } from "./categorize.ts";
import { openClusterSource, type PodPlace } from "./cluster-source.ts";
import type { ConfigurationSource } from "./configuration-source.ts";
import { startDispatcher } from "./dispatch.ts";
import { type FolderOptions, openFolderSource } from "./folder-source.ts";
import { gaugeQueues, ownMemoryLimit, startHousekeeping } from "./housekeeping.ts";
import { Life } from "./life.ts";
import { openPodReport } from "./pod-report.ts";
import { onAgentTrace, putInForce } from "./put-in-force.ts";
import { type QueueReport, startQueueReport } from "./queue-report.ts";
import { createReload } from "./reload.ts";
import { type Base, openBase, openRooms, type RoomOptions, type Rooms } from "./rooms.ts";
import { openSnapshotStore, type SnapshotStore } from "./snapshot-store.ts";

export interface ClusterOptions extends PodPlace {
  /** Closed at the end. */
  readonly http: KubeHttp;
}

export interface TransportOptions extends RoomOptions {
  /** Where the configuration comes from. */
  readonly source: { readonly folder: FolderOptions } | { readonly cluster: ClusterOptions };
  /** host:port of /healthz, /readyz and /metrics; undefined: none. */
  readonly http?: { readonly host: string; readonly port: number } | undefined;
  /** Ends the wait for a first configuration from the cluster. */
  readonly signal?: AbortSignal | undefined;
  readonly memoryLimit?: number | undefined;
  /** Instead of the built-in agents. */
  readonly agents?: readonly Agent<unknown>[] | undefined;
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
  const life = new Life({
    clock: base.clock,
    openRooms: (poisonThreshold) => openRooms(options, base, poisonThreshold),
  });
  try {
    const store = await openSnapshotStore(options.state, base.room("reload"));
    const source = await openSource(options, base, { life, store });
    const reload = createReload({
      ...{ ...base, source, store, log: base.room("reload") },
      open: async ({ snapshot }) => void (await life.open(snapshot.transport.queue.poisonThreshold)),
      async apply(next, before) {
        const rooms = await life.open();
        const onAgent = onAgentTrace(rooms.metrics, rooms.tracking);
        const { agents } = options;
        const pipelineDeps = { ...base, resolver: rooms.resolver, log: base.room("agents"), agents, onAgent };
        const dispatcher = () => life.dispatcher;
        return putInForce(next, before, { ...rooms, pipelineDeps, dispatcher, wholly: source.hearsRefusals });
      },
    });
    life.onStop(reload.stop);
    const http = await openHttp(options, base, { life, source });
    await reload.start(options.signal);
    const { smtp } = await startWork(options, life);
    return { bindings: smtp.bindings, httpPort: http?.port, stop: (graceMs = 10_000) => life.stop(graceMs) };
  } catch (cause) {
    await life.stop(0);
    throw cause;
  }
}

/** A folder of manifests; or the cluster, where this pod is also told to drain, and says what it does. */
async function openSource(
  { source, state }: TransportOptions,
  { clock, room }: Base,
  { life, store }: { readonly life: Life; readonly store: SnapshotStore },
): Promise<ConfigurationSource> {
  const log = room("reload");
  if ("folder" in source) {
    const previous = (await store.last())?.snapshot;
    return await openFolderSource(source.folder, { state, previous, clock, log });
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
  life.onOpen(({ queue, smtp }) => {
    const sessions = () => smtp.stats().sessions;
    const isDraining = () => life.isDraining;
    queueReport = startQueueReport({ queue, sessions, isDraining, clock, log, say: report.say });
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

/** From here on mail flows. */
async function startWork({ memoryLimit = ownMemoryLimit() }: TransportOptions, life: Life): Promise<Rooms> {
  const rooms = await life.open();
  startCategorizer({ ...rooms, recall: rooms.memory.recall });
  life.dispatcher = startDispatcher(rooms);
  life.onStop(startHousekeeping({ ...rooms, ...doorOf(rooms), memoryLimit }));
  return rooms;
}

async function openHttp(
  { http }: TransportOptions,
  { metrics: { registry } }: Base,
  { life, source }: { readonly life: Life; readonly source: ConfigurationSource },
): Promise<HttpService | undefined> {
  if (http === undefined) return undefined;
  const service = await serveHttp(http.host, http.port, {
    ready() {
      if (!life.takesMail) return { ok: false, reason: "draining" };
      const isInForce = life.rooms?.inForce() !== undefined;
      return { ok: isInForce, reason: `no configuration is in force: ${source.waitsFor()}` };
    },
    async metrics() {
      if (life.rooms !== undefined) await gaugeQueues({ ...life.rooms, ...doorOf(life.rooms) });
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  });
  life.onEnd(service.close);
  return service;
}

function doorOf({ smtp }: Rooms) {
  return { setPressure: smtp.setPressure, sessions: () => smtp.stats().byConnector };
}
