/**
 * Dispatch: takes due messages of each next hop, has them delivered, and settles the outcome in one change.
 *
 * Runs at most `slots` jobs a next hop and maxOutboundConnections in all. A next hop that backs off is asked again when
 * its time comes, one for which all connections were taken when there is room. A message whose connector is gone or
 * leads elsewhere goes back to the categorizer.
 *
 * @module
 */
import type { Logger } from "../lib/log.ts";
import { type NextHop, parseNextHopKey } from "../mail/next-hop.ts";
import type { SendConnectorEntry } from "../snapshot/schema.ts";
import { type BounceDeps, bounceItems } from "./bounce.ts";
import type { Delivery, DeliveryResult } from "./delivery/mod.ts";
import { createJobRoom } from "./job-room.ts";
import { createPumps, type Rest } from "./pumps.ts";
import type { QueueItem } from "./queue/mod.ts";
import { settleAttempt } from "./settle.ts";
import { createSettlements } from "./settlements.ts";
import { ofMessage } from "./tracking.ts";

export interface DispatchDeps extends BounceDeps {
  readonly delivery: Delivery;
  readonly log: Logger;
}

export interface Dispatcher {
  running(): number;
  /** Begins nothing any more; resolves when what runs is settled. */
  stop(): Promise<void>;
}

const POLL_MS = 20;
const DISK_PAUSE_MS = 1000;

/** Starts the loop over all delivery queues. */
export function startDispatcher(deps: DispatchDeps): Dispatcher {
  const { queue, delivery, clock, log } = deps;
  const timers = new Map<string, { readonly until: number; readonly timer: NodeJS.Timeout }>();
  const jobs = createJobRoom(delivery, wake);
  let stopped = false;
  const settlements = createSettlements();

  /** The earliest time counts: a rest that a retry by hand ended may be followed by a shorter one. */
  const waitFor = (key: string, until: number) => {
    if (stopped || (timers.get(key)?.until ?? Number.POSITIVE_INFINITY) <= until) return;
    clearTimeout(timers.get(key)?.timer);
    const wait = Math.min(Math.max(until - clock.now(), 1), 2_147_483_647);
    const timer = setTimeout(() => {
      timers.delete(key);
      wake(key);
    }, wait);
    timers.set(key, { until, timer });
  };

  const round = async (key: string): Promise<Rest> => {
    const hop = parseNextHopKey(key);
    const connector = deps.pipeline().sendConnectors.get(hop.connector);
    if (!leadsTo(connector, hop)) return resubmit(key, deps);
    if (settlements.isOverrun()) {
      waitFor(key, clock.now() + DISK_PAUSE_MS);
      return "starved";
    }
    const limit = jobs.take(key, (most) => delivery.reserve(hop, connector, most));
    if (limit === 0) {
      const until = delivery.askAgainAt(key);
      if (until !== undefined) waitFor(key, until);
      return "starved";
    }
    const items = await takeUpTo(key, limit);
    for (const item of items) void job(key, item);
    return items.length === limit ? "more" : "nothing";
  };

  /** Delivers, gives its place to the next one, settles. Never rejects. */
  const job = async (key: string, item: QueueItem): Promise<void> => {
    const giveRoom = () => {
      // Damaged messages that a round left out hide what is due behind them: the last one out looks again.
      if (jobs.give(key, 1) === 0) wake(key);
      else if (!stopped) pumps.wakeStarved(key);
    };
    const settle = await attempt(item, deps, () => stopped);
    const mustWait = settlements.isFull();
    if (!mustWait) giveRoom();
    await settlements.run(settle, (cause) => settleLater(item, cause, deps));
    if (mustWait) giveRoom();
  };

  /** What is due, a place in the job room for each; the other places are given back. */
  const takeUpTo = async (nextHop: string, limit: number): Promise<readonly QueueItem[]> => {
    let items: readonly QueueItem[] = [];
    try {
      const due = await queue.take("Delivery", { nextHop, limit });
      if (stopped) queue.release(due.map(({ message }) => message.id));
      else items = due;
    } finally {
      jobs.give(nextHop, limit - items.length);
    }
    return items;
  };

  const pumps = createPumps({
    round,
    onFault(key, cause) {
      log.error({ nextHop: key, cause: String(cause) }, "delivery queue not read");
      waitFor(key, clock.now() + 1000);
    },
  });

  function wake(key: string): void {
    if (!stopped) pumps.wake(key);
  }

  queue.onDue((kind, key) => {
    if (kind === "Delivery") wake(key);
  });
  return {
    running: jobs.taken,
    async stop() {
      stopped = true;
      for (const { timer } of timers.values()) clearTimeout(timer);
      while (jobs.taken() + settlements.running() + pumps.running() > 0) await clock.sleep(POLL_MS);
    },
  };
}

/** What is left to be done for an item once its delivery is over: it settles what came of it. */
type Settle = () => Promise<void> | void;

/** Never rejects. */
async function attempt(item: QueueItem, deps: DispatchDeps, isStopped: () => boolean): Promise<Settle> {
  try {
    return await attemptOne(item, deps, isStopped);
  } catch (cause) {
    return () => Promise.reject(cause);
  }
}

/** Not at once: where its report cannot be written, a delivered message would be sent again and again. */
function settleLater(item: QueueItem, cause: unknown, { queue, log }: DispatchDeps): Promise<void> {
  log.error({ ...ofMessage(item.message), cause: String(cause) }, "delivery not settled");
  return queue.releaseLater([item.message.id]);
}

/** True when the router would still name this next hop for the connector: an MX queue has a domain, the others have none. */
export function leadsTo(
  connector: SendConnectorEntry | undefined,
  { domain }: NextHop,
): connector is SendConnectorEntry {
  return connector !== undefined && (connector.routing.type === "MX") === (domain !== "");
}

async function attemptOne(item: QueueItem, deps: DispatchDeps, isStopped: () => boolean): Promise<Settle> {
  const { nextHop, message } = item;
  const pipeline = deps.pipeline();
  const connector = nextHop === undefined ? undefined : pipeline.sendConnectors.get(nextHop.connector);
  if (nextHop === undefined || !leadsTo(connector, nextHop)) return () => toSubmission([item], deps);
  const end = deps.metrics.deliverySeconds.startTimer({ connector: connector.name });
  const result = await deps.delivery.deliver({
    message,
    recipients: message.envelope.recipients,
    nextHop,
    connector,
  });
  end();
  // Cut because we stop: that is no failure of the next hop, and the message is due when we are back.
  if (isStopped() && result.outcomes.every((outcome) => outcome.result === "deferred"))
    return () => deps.queue.release([item.message.id]);
  return () => settle(item, result, deps);
}

async function settle(item: QueueItem, result: DeliveryResult, deps: DispatchDeps): Promise<void> {
  const now = deps.clock.now();
  const settings = deps.pipeline().snapshot.transport.queue;
  const { keep, dsns, events } = settleAttempt(item, result, settings, now);
  const insert = dsns.length === 0 ? [] : await bounceItems(item, dsns, deps);
  const id = item.message.id;
  const change = keep === undefined ? { insert, remove: [id] } : { insert, update: [keep] };
  await deps.queue.apply(change, { hurry: false });
  for (const event of events) deps.tracking.track(event);
  for (const outcome of result.outcomes) {
    deps.metrics.deliveries.inc({ connector: item.nextHop?.connector ?? "", result: outcome.result });
  }
}

/** The connector is gone, or leads elsewhere: its messages are routed anew. */
async function resubmit(key: string, deps: DispatchDeps): Promise<Rest> {
  const items = await deps.queue.take("Delivery", { nextHop: key, limit: 100 });
  try {
    await toSubmission(items, deps);
  } catch (cause) {
    void deps.queue.releaseLater(items.map(({ message }) => message.id));
    throw cause;
  }
  return items.length > 0 ? "more" : "nothing";
}

async function toSubmission(
  items: readonly QueueItem[],
  { queue, clock, tracking }: DispatchDeps,
): Promise<void> {
  const moved = { queue: "Submission", nextHop: undefined, status: "Ready", dueAt: clock.now() } as const;
  await queue.apply({ update: items.map((item) => ({ ...item, ...moved })) });
  for (const { message, nextHop } of items) {
    const text = `Next hop "${nextHop?.key}" is no longer in force`;
    tracking.track({ of: ofMessage(message), step: { event: "RESUBMIT", source: "ROUTING", text } });
  }
}
