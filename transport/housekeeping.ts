/**
 * Housekeeping: what time does to waiting mail, and what the queue's state does to the door.
 *
 * Every few seconds: messages past their expiry fail wherever they sit, senders hear of delays, back pressure is
 * measured, queue gauges are set.
 *
 * @module
 */
import { totalmem } from "node:os";
import type { Logger } from "../lib/log.ts";
import { type BounceDeps, bounceItems } from "./bounce.ts";
import { createPressure, type Pressure, type QueueItem } from "./queue/mod.ts";
import { type SettleSettings, settleOverdue } from "./settle.ts";
import type { PressureLevel } from "./smtp/mod.ts";
import { ofMessage } from "./tracking.ts";
import type { CommonUse } from "./workers/mod.ts";

export interface HousekeepingDeps extends BounceDeps {
  readonly log: Logger;
  /** Octets this process may use. */
  readonly memoryLimit: number;
  /** Pressure is measured by what all parts of the transport use. undefined: there is no other part. */
  readonly use?: CommonUse | undefined;
  setPressure(level: PressureLevel): void;
}

export interface GaugeDeps extends Pick<HousekeepingDeps, "queue" | "metrics" | "clock"> {
  /** By connector. */
  sessions(): Readonly<Record<string, number>>;
}

const OVERDUE_EVERY_MS = 5000;
const PRESSURE_EVERY_MS = 2000;
const BATCH = 200;
const LEVEL_VALUE: Readonly<Record<PressureLevel, number>> = { normal: 0, medium: 1, high: 2 };

/** Starts the timers; call the result to stop them. */
export function startHousekeeping(deps: HousekeepingDeps): () => void {
  const overdue = setInterval(() => void settleAllOverdue(deps), OVERDUE_EVERY_MS);
  let pressure: { readonly of: object; readonly machine: Pressure } | undefined;
  let level: PressureLevel = "normal";
  const observe = () => {
    const { backPressure } = deps.pipeline().snapshot.transport;
    if (pressure?.of !== backPressure) pressure = { of: backPressure, machine: createPressure(backPressure) };
    const seen = pressure.machine.observe(measure(deps));
    if (seen.level !== level) {
      deps.log[seen.level === "normal" ? "info" : "warn"](
        { level: seen.level, because: seen.because },
        "back pressure changed",
      );
    }
    level = seen.level;
    deps.setPressure(level);
    deps.metrics.pressure.set(LEVEL_VALUE[level]);
  };
  observe();
  const watch = setInterval(observe, PRESSURE_EVERY_MS);
  return () => {
    clearInterval(overdue);
    clearInterval(watch);
  };
}

/** Fills the gauges; called when somebody asks for metrics. */
export async function gaugeQueues({ queue, metrics, clock, sessions }: GaugeDeps): Promise<void> {
  metrics.queueMessages.reset();
  metrics.queueOldest.reset();
  for (const row of await queue.summary()) {
    const labels = { queue: row.queue, next_hop: row.nextHop };
    metrics.queueMessages.set(labels, row.messages);
    if (row.oldest !== undefined) metrics.queueOldest.set(labels, (clock.now() - row.oldest) / 1000);
  }
  metrics.smtpSessions.reset();
  for (const [connector, count] of Object.entries(sessions())) metrics.smtpSessions.set({ connector }, count);
}

function measure({ queue, pipeline, memoryLimit, use }: HousekeepingDeps) {
  const { storageSize } = pipeline().snapshot.transport.queue;
  const own = { submissionQueue: queue.submissionLength(), diskOctets: queue.diskUsed() };
  const { submissionQueue, diskOctets } = use?.with(own) ?? own;
  return {
    submissionQueue,
    diskUsedPercent: (diskOctets / storageSize) * 100,
    memoryUsedPercent: (process.memoryUsage.rss() / memoryLimit) * 100,
  };
}

/** What this process may use: its limit (0 or beyond all memory: it has none), else what the machine has. */
export function ownMemoryLimit(): number {
  return Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem());
}

async function settleAllOverdue(deps: HousekeepingDeps): Promise<void> {
  const { queue, clock, pipeline, log } = deps;
  try {
    for (;;) {
      const settings = pipeline().snapshot.transport.queue;
      const { delayNotificationMs } = settings;
      // 0: nobody hears of a delay, so none is looked for.
      const receivedBefore = delayNotificationMs > 0 ? clock.now() - delayNotificationMs : 0;
      const items = await queue.takeOverdue({ receivedBefore, limit: BATCH });
      for (const item of items) await settleOneOverdue(item, settings, deps);
      if (items.length < BATCH) return;
    }
  } catch (cause) {
    log.error({ cause: String(cause) }, "overdue messages not read");
  }
}

/** Never rejects: one that cannot be settled keeps nobody else waiting, and its turn comes again. */
async function settleOneOverdue(
  item: QueueItem,
  settings: SettleSettings,
  deps: HousekeepingDeps,
): Promise<void> {
  const { queue, clock, tracking, log } = deps;
  const { id } = item.message;
  try {
    const { keep, dsns, events } = settleOverdue(item, settings, clock.now());
    const insert = await bounceItems(item, dsns, deps);
    await queue.apply(keep === undefined ? { insert, remove: [id] } : { insert, update: [keep] });
    for (const event of events) tracking.track(event);
  } catch (cause) {
    log.error({ ...ofMessage(item.message), cause: String(cause) }, "overdue message not settled");
    queue.releaseLater([id]);
  }
}
