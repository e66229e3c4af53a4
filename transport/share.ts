/**
 * A share that works in this thread: the rooms, wired, and the order in which they begin and end.
 *
 * @module
 */
import { onAgentTrace } from "./agent-trace.ts";
import type { Agent } from "./agents/mod.ts";
import { startCategorizer } from "./categorize.ts";
import { type Dispatcher, startDispatcher } from "./dispatch.ts";
import { setDraining } from "./drain.ts";
import { gaugeQueues, startHousekeeping } from "./housekeeping.ts";
import { buildPipeline } from "./pipeline.ts";
import { type Base, openRooms, type RoomOptions, type Rooms } from "./rooms.ts";
import { wakeWaiting } from "./wake-waiting.ts";
import type { CommonUse, Configuration, PreparedShare, Share } from "./workers/mod.ts";

export interface ShareOptions extends RoomOptions {
  /** Octets that the process may use. */
  readonly memoryLimit: number;
  /** Instead of the built-in agents. */
  readonly agents?: readonly Agent<unknown>[] | undefined;
  /** Left out: nobody else uses what the transport has. */
  readonly use?: CommonUse | undefined;
}

/** Commits of what was delivered last; a disk that hangs is not waited for. */
const SETTLE_MS = 2000;

/** Nothing moves before startWork(). Rejects when the queue's folder is in use. */
export async function openShare(options: ShareOptions, base: Base): Promise<Share> {
  const rooms = await openRooms(options, base);
  const work: Work = { dispatcher: undefined, stopHousekeeping: () => {} };
  const { smtp, queue, delivery, tracking, metrics, clock } = rooms;
  const onAgent = onAgentTrace(metrics, tracking);
  const pipelineDeps = {
    ...{ clock, resolver: rooms.resolver, log: base.room("agents"), agents: options.agents, onAgent },
  };
  const sessions = () => smtp.stats().byConnector;
  let inForce: Configuration | undefined;
  queue.onRetry((nextHop) => delivery.reset(nextHop));
  return {
    async prepare(next): Promise<PreparedShare> {
      const pipeline = buildPipeline(next.snapshot, next.secrets, pipelineDeps, rooms.inForce());
      const prepared = await smtp.prepare({ ...next, domains: pipeline.domains });
      return {
        diagnostics: prepared.diagnostics,
        async take() {
          const before = inForce;
          inForce = next;
          rooms.swap(pipeline);
          prepared.take();
          await wake(next, before, rooms);
        },
        drop: prepared.drop,
      };
    },
    async startWork() {
      const { memoryLimit, use } = options;
      startCategorizer({ ...rooms, recall: rooms.memory.recall });
      work.dispatcher = startDispatcher(rooms);
      work.stopHousekeeping = startHousekeeping({
        ...rooms,
        ...{ setPressure: smtp.setPressure, memoryLimit, use },
      });
    },
    async setDraining(draining) {
      setDraining(draining, rooms);
    },
    bindings: smtp.bindings,
    async look() {
      const open = smtp.stats().sessions;
      const rows = await queue.summary();
      return {
        sessions: open,
        queues: rows.map(({ queue: name, messages, oldest }) => ({ queue: name, messages, oldest })),
      };
    },
    async metrics() {
      await gaugeQueues({ ...rooms, sessions });
      return [];
    },
    async rest(graceMs) {
      work.stopHousekeeping();
      const settled = work.dispatcher?.stop();
      // Side by side, so that all of it ends within the grace.
      await Promise.all([smtp.close(graceMs), delivery.close(graceMs)]);
      await Promise.race([settled, clock.sleep(SETTLE_MS)]);
    },
    async close() {
      await queue.close();
      await tracking.close();
    },
  };
}

interface Work {
  /** Set when mail begins to flow. */
  dispatcher: Dispatcher | undefined;
  stopHousekeeping: () => void;
}

/** What waits is woken by its own timers too: a queue that cannot write now does not undo the change. */
async function wake(
  next: Configuration,
  before: Configuration | undefined,
  { queue, log }: Rooms,
): Promise<void> {
  await wakeWaiting(next, before, queue).catch((cause: unknown) => {
    log.warn({ cause: String(cause) }, "waiting mail not woken, it is tried at its own time");
  });
}
