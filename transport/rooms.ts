/**
 * Rooms: opens each and hands it what it needs. Rooms know nothing of each other.
 *
 * @module
 */
import { join } from "node:path";
import { type Clock, systemClock } from "../lib/clock.ts";
import type { Counts } from "../lib/counts.ts";
import { createIds } from "../lib/ids.ts";
import type { Logger } from "../lib/log.ts";
import { countDelivery, countSmtp, createMetrics } from "../lib/metrics.ts";
import type { Rates } from "../lib/rates.ts";
import { createDelivery, type DnsResolver, systemResolver } from "./delivery/mod.ts";
import { createIntake } from "./intake.ts";
import { createMimeMemory } from "./mime-memory.ts";
import type { Pipeline } from "./pipeline.ts";
import { openQueue } from "./queue/mod.ts";
import { removeByHand } from "./remove.ts";
import { createSmtpService } from "./smtp/mod.ts";
import { ofMessage, openTracking } from "./tracking.ts";
import { queueFolder } from "./workers/mod.ts";

export interface RoomOptions {
  /** Folder for queue, tracking log, drop folders. */
  readonly state: string;
  readonly log: Logger;
  /** Bindings without an address listen there; undefined: on every address. */
  readonly listenAddress?: string | undefined;
  /** Tests bring their own. */
  readonly resolver?: DnsResolver | undefined;
  readonly clock?: Clock | undefined;
  /** Crashes that send a message to Poison: the queue must know at once. undefined: its default. */
  readonly poisonThreshold?: number | undefined;
  /** Of a transport in several threads: what this one has of its own, and with the others. */
  readonly part?: Part | undefined;
}

/** A part of a transport that others are beside in the same process. */
export interface Part {
  /** Its queue's folder. */
  readonly queue: string;
  /** Others listen at the same addresses. */
  readonly sharesPorts: boolean;
  /** Ids of no other part end like its own. */
  readonly idSource: number;
  /** Limits that hold over all parts. */
  readonly counts: Counts;
  readonly rates: Rates;
}

/** What every room is handed. */
export function openBase({ log, clock = systemClock }: RoomOptions) {
  return { clock, metrics: createMetrics(), room: (name: string) => log.child({ room: name }) };
}

export type Base = ReturnType<typeof openBase>;

/** Every room, opened and handed what it needs. */
export async function openRooms(options: RoomOptions, { clock, metrics, room }: Base) {
  const { state, poisonThreshold, part } = options;
  let inForce: Pipeline | undefined;
  const pipeline = (): Pipeline => {
    if (inForce === undefined) throw new Error("No configuration is in force yet");
    return inForce;
  };
  const tracking = await openTracking(state, clock);
  const queue = await openQueue({
    directory: part?.queue ?? queueFolder(state, 0),
    clock,
    log: room("queue"),
    ...(poisonThreshold === undefined ? {} : { poisonThreshold }),
    onPoison: ({ message, lastError }) =>
      tracking.track({
        of: ofMessage(message),
        step: { event: "POISONMESSAGE", source: "QUEUE", text: lastError },
      }),
    onRemove: (items, withDsn) => removeByHand(items, withDsn, rooms),
  });
  const memory = createMimeMemory();
  const resolver = options.resolver ?? systemResolver();
  const ids = createIds(clock, part?.idSource);
  const shared = { pipeline, queue, tracking, clock, ids, metrics, log: room("transport") };
  const smtp = createSmtpService({
    open: createIntake({ ...shared, remember: memory.remember }),
    clock,
    log: room("smtp"),
    ...(options.listenAddress === undefined ? {} : { listenAddress: options.listenAddress }),
    count: countSmtp(metrics),
    ...(part && { counts: part.counts, rates: part.rates, reusePort: part.sharesPorts }),
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
    retryIntervalsMs: () => pipeline().snapshot.transport.queue.retryIntervalsMs,
    count: countDelivery(metrics),
    counts: part?.counts,
  });
  const swap = (ready: Pipeline) => {
    inForce = ready;
  };
  const rooms = { ...shared, memory, resolver, smtp, delivery, swap, inForce: () => inForce };
  return rooms;
}

export type Rooms = Awaited<ReturnType<typeof openRooms>>;
