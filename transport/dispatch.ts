/**
 * Dispatch: takes due messages of each next hop, has them delivered, and settles the outcome in one change.
 *
 * Runs at most `slots` jobs a next hop and maxOutboundConnections in all. A next hop that backs off is asked again when
 * its time comes. A message whose connector is gone or leads elsewhere goes back to the categorizer.
 *
 * @module
 */
import type { Logger } from "../lib/log.ts";
import { type NextHop, parseNextHopKey } from "../mail/next-hop.ts";
import type { SendConnectorEntry } from "../snapshot/schema.ts";
import { type BounceDeps, bounceItems } from "./bounce.ts";
import type { Delivery, DeliveryResult } from "./delivery/mod.ts";
import type { QueueItem } from "./queue/mod.ts";
import { settleAttempt } from "./settle.ts";
import { ofMessage } from "./tracking.ts";

export interface DispatchDeps extends BounceDeps {
  readonly delivery: Delivery;
  readonly log: Logger;
}

export interface Dispatcher {
  /** Looks again at a next hop (after a reload, a retry by hand). */
  wake(nextHopKey: string): void;
  running(): number;
  /** Begins nothing any more; resolves when what runs is settled. */
  stop(): Promise<void>;
}

const POLL_MS = 20;

/** Starts the loop over all delivery queues. */
export function startDispatcher(deps: DispatchDeps): Dispatcher {
  const { queue, delivery, clock, log } = deps;
  const pumping = new Set<string>();
  const again = new Set<string>();
  const timers = new Map<string, NodeJS.Timeout>();
  let running = 0;
  let stopped = false;

  const waitFor = (key: string, until: number) => {
    if (timers.has(key) || stopped) return;
    const wait = Math.min(Math.max(until - clock.now(), 1), 2_147_483_647);
    const timer = setTimeout(() => {
      timers.delete(key);
      wake(key);
    }, wait);
    timers.set(key, timer);
  };

  /** One round: true when something was started and more may be due. */
  const round = async (key: string): Promise<boolean> => {
    const hop = parseNextHopKey(key);
    const pipeline = deps.pipeline();
    const connector = pipeline.sendConnectors.get(hop.connector);
    if (!leadsTo(connector, hop)) return resubmit(key, deps);
    const room = pipeline.snapshot.transport.limits.maxOutboundConnections - running;
    const limit = Math.min(delivery.slots(hop, connector), room);
    if (limit <= 0) {
      const until = delivery.backOffUntil(key);
      if (until !== undefined) waitFor(key, until);
      return false;
    }
    const items = await queue.take("Delivery", { nextHop: key, limit });
    if (stopped) {
      queue.release(items.map(({ message }) => message.id));
      return false;
    }
    for (const item of items) {
      running += 1;
      void attempt(item, deps, () => stopped).finally(() => {
        running -= 1;
        wake(key);
      });
    }
    return items.length === limit;
  };

  function wake(key: string): void {
    if (stopped) return;
    if (pumping.has(key)) {
      again.add(key);
      return;
    }
    pumping.add(key);
    void (async () => {
      try {
        do again.delete(key);
        while ((await round(key)) || again.has(key));
      } catch (cause) {
        log.error({ nextHop: key, cause: String(cause) }, "delivery queue not read");
        waitFor(key, clock.now() + 1000);
      } finally {
        pumping.delete(key);
      }
    })();
  }

  queue.onDue((kind, key) => {
    if (kind === "Delivery") wake(key);
  });
  return {
    wake,
    running: () => running,
    async stop() {
      stopped = true;
      for (const timer of timers.values()) clearTimeout(timer);
      while (running + pumping.size > 0) await clock.sleep(POLL_MS);
    },
  };
}

/** Never rejects. */
async function attempt(item: QueueItem, deps: DispatchDeps, isStopped: () => boolean): Promise<void> {
  try {
    await attemptOne(item, deps, isStopped);
  } catch (cause) {
    deps.log.error({ ...ofMessage(item.message), cause: String(cause) }, "delivery not settled");
    deps.queue.release([item.message.id]);
  }
}

/** True when the router would still name this next hop for the connector: an MX queue has a domain, the others have none. */
export function leadsTo(
  connector: SendConnectorEntry | undefined,
  { domain }: NextHop,
): connector is SendConnectorEntry {
  return connector !== undefined && (connector.routing.type === "MX") === (domain !== "");
}

async function attemptOne(item: QueueItem, deps: DispatchDeps, isStopped: () => boolean): Promise<void> {
  const { nextHop, message } = item;
  const pipeline = deps.pipeline();
  const connector = nextHop === undefined ? undefined : pipeline.sendConnectors.get(nextHop.connector);
  if (nextHop === undefined || !leadsTo(connector, nextHop)) return toSubmission(item, deps);
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
    return deps.queue.release([item.message.id]);
  await settle(item, result, deps);
}

async function settle(item: QueueItem, result: DeliveryResult, deps: DispatchDeps): Promise<void> {
  const now = deps.clock.now();
  const settings = deps.pipeline().snapshot.transport.queue;
  const { keep, dsns, events } = settleAttempt(item, result.outcomes, settings, now);
  const insert = dsns.length === 0 ? [] : await bounceItems(item, dsns, deps);
  const id = item.message.id;
  await deps.queue.apply(keep === undefined ? { insert, remove: [id] } : { insert, update: [keep] });
  const seen = { server: result.remoteAddress, tls: result.tls };
  for (const event of events) deps.tracking.track({ ...event, ...seen });
  for (const outcome of result.outcomes) {
    deps.metrics.deliveries.inc({ connector: item.nextHop?.connector ?? "", result: outcome.result });
  }
}

/** The connector is gone, or leads elsewhere: its messages are routed anew. */
async function resubmit(key: string, deps: DispatchDeps): Promise<boolean> {
  const items = await deps.queue.take("Delivery", { nextHop: key, limit: 100 });
  for (const item of items) await toSubmission(item, deps);
  return items.length > 0;
}

async function toSubmission(item: QueueItem, deps: DispatchDeps): Promise<void> {
  const moved: QueueItem = {
    ...item,
    queue: "Submission",
    nextHop: undefined,
    status: "Ready",
    dueAt: deps.clock.now(),
  };
  await deps.queue.apply({ update: [moved] });
  const text = `Next hop "${item.nextHop?.key}" is no longer in force`;
  deps.tracking.track({ ...ofMessage(item.message), event: "RESUBMIT", source: "ROUTING", text });
}
