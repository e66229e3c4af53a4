/**
 * The transport: wires the rooms. Reading this file is reading the flow.
 *
 * manifests -> reload -> pipeline; smtp -> intake (agents) -> queue -> categorize (categorizer, policy) -> queue
 * -> dispatch (delivery) -> settle -> queue or DSN. Rooms know nothing of each other; what they need is handed over here.
 *
 * @module
 */
import { join } from "node:path";
import { type Clock, systemClock } from "../lib/clock.ts";
import { serveHttp } from "../lib/http.ts";
import { createIds } from "../lib/ids.ts";
import type { Logger } from "../lib/log.ts";
import { countDelivery, countSmtp, createMetrics } from "../lib/metrics.ts";
import type { Agent } from "./agents/mod.ts";
import { startCategorizer } from "./categorize.ts";
import { createDelivery, type DnsResolver, systemResolver } from "./delivery/mod.ts";
import { type Dispatcher, startDispatcher } from "./dispatch.ts";
import { gaugeQueues, ownMemoryLimit, startHousekeeping } from "./housekeeping.ts";
import { createIntake } from "./intake.ts";
import { openManifestFolder } from "./manifest-folder.ts";
import { createMimeMemory } from "./mime-memory.ts";
import type { Pipeline } from "./pipeline.ts";
import { onAgentTrace, putInForce } from "./put-in-force.ts";
import { openQueue } from "./queue/mod.ts";
import { createReload, type Reload, type ReloadDeps } from "./reload.ts";
import { removeByHand } from "./remove.ts";
import { supplySelfSigned } from "./self-signed.ts";
import { createSmtpService } from "./smtp/mod.ts";
import { ofMessage, openTracking } from "./tracking.ts";

export interface TransportOptions {
  readonly manifests: string;
  readonly state: string;
  /** namespace/name or name of the MailTransport; undefined: the only one. */
  readonly transportName?: string | undefined;
  /** host:port of /healthz, /readyz and /metrics; undefined: none. */
  readonly http?: { readonly host: string; readonly port: number } | undefined;
  readonly selfSigned?: boolean | undefined;
  readonly log: Logger;
  /** Tests bring their own. */
  readonly resolver?: DnsResolver | undefined;
  readonly clock?: Clock | undefined;
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

/** Commits of what was delivered last; a disk that hangs is not waited for. */
const SETTLE_MS = 2000;

/** Starts everything. Rejects when there is no valid MailTransport or the state folder is in use. */
export async function startTransport(options: TransportOptions): Promise<Transport> {
  const base = openBase(options);
  let rooms: Rooms | undefined;
  let dispatcher: Dispatcher | undefined;
  const reload = await openReload(options, base, (next, before) => {
    if (rooms === undefined) throw new Error("The rooms are not open yet");
    const onAgent = onAgentTrace(rooms.metrics, rooms.tracking);
    const { agents } = options;
    const pipelineDeps = { ...base, resolver: rooms.resolver, log: base.room("agents"), agents, onAgent };
    return putInForce(next, before, { ...rooms, pipelineDeps, dispatcher: () => dispatcher });
  });
  // The queue must know when a message counts as poison before it opens.
  const { transport } = await reload.look();
  rooms = await openRooms(options, base, transport.queue.poisonThreshold);
  const { pipeline, queue, smtp, delivery, tracking, metrics, memory, clock } = rooms;
  await reload.run();
  const housekeeping = {
    ...rooms,
    memoryLimit: options.memoryLimit ?? ownMemoryLimit(),
    setPressure: smtp.setPressure,
    sessions: () => smtp.stats().byConnector,
  };
  startCategorizer({ ...rooms, recall: memory.recall });
  dispatcher = startDispatcher(rooms);
  const { stop: stopDispatcher } = dispatcher;
  const stops = [startHousekeeping(housekeeping), reload.follow()];
  let draining = false;
  const http =
    options.http &&
    (await serveHttp(options.http.host, options.http.port, {
      ready: () => ({ ok: !draining && pipeline() !== undefined, reason: "draining" }),
      metrics: async () => {
        await gaugeQueues(housekeeping);
        return { contentType: metrics.registry.contentType, text: await metrics.registry.metrics() };
      },
    }));
  return {
    bindings: smtp.bindings,
    httpPort: http?.port,
    async stop(graceMs = 10_000) {
      draining = true;
      for (const stop of stops) stop();
      const settled = stopDispatcher();
      // Side by side, so that all of it ends within the grace.
      await Promise.all([smtp.close(graceMs), delivery.close(graceMs)]);
      await Promise.race([settled, clock.sleep(SETTLE_MS)]);
      await queue.close();
      await tracking.close();
      await http?.close();
    },
  };
}

/** What every room is handed. */
function openBase({ log, clock = systemClock }: TransportOptions) {
  return { clock, metrics: createMetrics(), room: (name: string) => log.child({ room: name }) };
}

type Base = ReturnType<typeof openBase>;

/** Every room, opened and handed what it needs. */
async function openRooms(options: TransportOptions, { clock, metrics, room }: Base, poisonThreshold: number) {
  const { state } = options;
  let inForce: Pipeline | undefined;
  const pipeline = () => {
    if (inForce === undefined) throw new Error("No configuration is in force yet");
    return inForce;
  };
  const tracking = await openTracking(state, clock);
  const queue = await openQueue({
    directory: join(state, "queue"),
    clock,
    log: room("queue"),
    poisonThreshold,
    onPoison: ({ message, lastError }) =>
      tracking.track({ ...ofMessage(message), event: "POISONMESSAGE", source: "QUEUE", text: lastError }),
    onRemove: (items, withDsn) => removeByHand(items, withDsn, rooms),
  });
  const memory = createMimeMemory();
  const resolver = options.resolver ?? systemResolver();
  const shared = { pipeline, queue, tracking, clock, ids: createIds(clock), metrics, log: room("transport") };
  const smtp = createSmtpService({
    open: createIntake({ ...shared, remember: memory.remember }),
    clock,
    log: room("smtp"),
    count: countSmtp(metrics),
  });
  const delivery = createDelivery({
    resolver,
    secrets: () => pipeline().secrets,
    readBody: queue.readBody,
    clock,
    log: room("delivery"),
    hostname: () => pipeline().snapshot.transport.hostname,
    dropDirectory: join(state, "drop"),
    limits: () => pipeline().snapshot.transport.limits,
    count: countDelivery(metrics),
  });
  const swap = (ready: Pipeline) => {
    inForce = ready;
  };
  const rooms = { ...shared, memory, resolver, smtp, delivery, swap };
  return rooms;
}

type Rooms = Awaited<ReturnType<typeof openRooms>>;

async function openReload(
  options: TransportOptions,
  { clock, metrics, room }: Base,
  apply: ReloadDeps["apply"],
): Promise<Reload> {
  return createReload({
    folder: await openManifestFolder(options.manifests, clock),
    stateDirectory: options.state,
    transportName: options.transportName,
    clock,
    log: room("reload"),
    metrics,
    supply: async (resources, secrets) =>
      options.selfSigned
        ? supplySelfSigned(resources, secrets, { directory: options.state, log: room("tls") })
        : secrets,
    apply,
  });
}
