/**
 * QueueReport: how much mail lies on this pod's volume, and whether a drain is done.
 *
 * A drain is done when no message is left, those set aside included (they would be lost with the volume), and no session
 * is open that could bring one. That is said at once; figures only when they changed, at most every ten seconds, and at
 * the end: what stands there while the pod is away is what its volume holds.
 *
 * @module
 */
import type { TransportPodStatus } from "../crds/delivery-kinds.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { QueueFigures, Share } from "./workers/mod.ts";

export interface QueueReportDeps {
  readonly share: Pick<Share, "look">;
  readonly clock: Clock;
  readonly log: Logger;
  isDraining(): boolean;
  say(part: Partial<TransportPodStatus>): void;
}

export interface QueueReport {
  /** Resolves when the first figures are said. */
  readonly first: Promise<void>;
  /** Something changed that is worth a look now. */
  look(): void;
  /** Says what is there at the end, and nothing after it. Resolves when it is said. */
  last(): Promise<void>;
  stop(): void;
}

type Figures = NonNullable<TransportPodStatus["queue"]>;

const FIGURES_EVERY_MS = 10_000;
const DRAIN_EVERY_MS = 500;
const SET_ASIDE = new Set(["Poison", "Quarantine"]);

/** Looks at once, then again and again until stopped. */
export function startQueueReport(deps: QueueReportDeps): QueueReport {
  const { share, clock, log, say } = deps;
  const stopped = new AbortController();
  let wake = new AbortController();
  let saidAt = Number.NEGATIVE_INFINITY;
  let wasDrained = false;
  let wasDraining = false;

  const measure = async () => {
    const draining = deps.isDraining();
    const { sessions, queues } = await share.look();
    const figures = figuresOf(queues);
    const drained = draining && sessions === 0 && figures.messages === 0 && figures.setAside === 0;
    return { queue: figures, draining, drained };
  };
  const look = async () => {
    const seen = await measure();
    const { draining, drained } = seen;
    const mustSay = drained !== wasDrained || draining !== wasDraining;
    if (stopped.signal.aborted || !(mustSay || clock.now() - saidAt >= FIGURES_EVERY_MS)) return;
    [saidAt, wasDrained, wasDraining] = [clock.now(), drained, draining];
    say(seen);
  };
  const notRead = (cause: unknown) => log.warn({ cause: String(cause) }, "queue figures not read");
  const lookSafely = () => look().catch(notRead);
  const first = lookSafely();
  const run = async () => {
    for (await first; !stopped.signal.aborted; await lookSafely()) {
      const pauseMs = deps.isDraining() && !wasDrained ? DRAIN_EVERY_MS : FIGURES_EVERY_MS;
      await clock.sleep(pauseMs, AbortSignal.any([wake.signal, stopped.signal])).catch(() => {});
      wake = new AbortController();
    }
  };
  void run();
  return {
    first,
    look: () => wake.abort(),
    last() {
      stopped.abort();
      return measure().then(say).catch(notRead);
    },
    stop: () => stopped.abort(),
  };
}

function figuresOf(rows: readonly QueueFigures[]): Figures {
  const waiting = rows.filter(({ queue }) => !SET_ASIDE.has(queue));
  const sum = (some: readonly QueueFigures[]) => some.reduce((total, { messages }) => total + messages, 0);
  const messages = sum(waiting);
  const oldest = Math.min(...waiting.map((row) => row.oldest ?? Number.POSITIVE_INFINITY));
  const setAside = sum(rows) - messages;
  if (!Number.isFinite(oldest)) return { messages, setAside };
  return { messages, setAside, oldestMessageTime: new Date(oldest).toISOString() };
}
