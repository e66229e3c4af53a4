/**
 * Rooms: opens each and hands it what it needs. Rooms know nothing of each other.
 *
 * @module
 */
import { join } from "node:path";
import { type Clock, systemClock } from "../lib/clock.ts";
import { createIds } from "../lib/ids.ts";
import type { Logger } from "../lib/log.ts";
import { countDelivery, countSmtp, createMetrics } from "../lib/metrics.ts";
import { createDelivery, type DnsResolver, systemResolver } from "./delivery/mod.ts";
import { createIntake } from "./intake.ts";
import { createMimeMemory } from "./mime-memory.ts";
import type { Pipeline } from "./pipeline.ts";
import { openQueue } from "./queue/mod.ts";
import { removeByHand } from "./remove.ts";
import { createSmtpService } from "./smtp/mod.ts";
import { ofMessage, openTracking } from "./tracking.ts";

export interface RoomOptions {
  /** Folder for queue, tracking log, drop folders. */
  readonly state: string;
  readonly log: Logger;
  /** Bindings without an address listen there; undefined: on every address. */
  readonly listenAddress?: string | undefined;
  /** Tests bring their own. */
  readonly resolver?: DnsResolver | undefined;
  readonly clock?: Clock | undefined;
}

/** What every room is handed. */
export function openBase({ log, clock = systemClock }: RoomOptions) {
  return { clock, metrics: createMetrics(), room: (name: string) => log.child({ room: name }) };
}

export type Base = ReturnType<typeof openBase>;

/** Every room, opened and handed what it needs. The queue must know at once when a message counts as poison; undefined: its default. */
export async function openRooms(
  options: RoomOptions,
  { clock, metrics, room }: Base,
  poisonThreshold: number | undefined,
) {
  const { state } = options;
  let inForce: Pipeline | undefined;
  const pipeline = (): Pipeline => {
    if (inForce === undefined) throw new Error("No configuration is in force yet");
    return inForce;
  };
  const tracking = await openTracking(state, clock);
  const queue = await openQueue({
    directory: join(state, "queue"),
    clock,
    log: room("queue"),
    ...(poisonThreshold === undefined ? {} : { poisonThreshold }),
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
    ...(options.listenAddress === undefined ? {} : { listenAddress: options.listenAddress }),
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
  const rooms = { ...shared, memory, resolver, smtp, delivery, swap, inForce: () => inForce };
  return rooms;
}

export type Rooms = Awaited<ReturnType<typeof openRooms>>;
