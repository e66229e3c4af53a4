/**
 * Categorize: takes messages from the submission queue, resolves, applies rules, routes, and puts copies into delivery queues.
 *
 * Gather (content facts), decide (categorizer and policy, pure), act (one Change per message: all of it or nothing).
 * A fault defers the message; it is never lost. A crash while at it is counted against the message (poison).
 *
 * @module
 */
import type { Clock } from "../lib/clock.ts";
import type { Ids } from "../lib/ids.ts";
import type { Logger } from "../lib/log.ts";
import type { Metrics } from "../lib/metrics.ts";
import { SteadyMap } from "../lib/steady-map.ts";
import { type MimeSummary, scanMime } from "../mail/mime.ts";
import { bounceItems } from "./bounce.ts";
import { MAX_TEXT } from "./content.ts";
import { applyEdits } from "./edits.ts";
import { createInBackground } from "./in-background.ts";
import type { Pipeline } from "./pipeline.ts";
import type { PlannedCopy } from "./placement.ts";
import { type Plan, planMessage } from "./plan.ts";
import { createPumps } from "./pumps.ts";
import { type Change, nextAttempt, type Queue, type QueueItem } from "./queue/mod.ts";
import { type DsnRequest, settleFailed, settleOverdue, wantedDsns } from "./settle.ts";
import { ofMessage, type Tracking } from "./tracking.ts";
import { inTurns } from "./turns.ts";

export interface CategorizeDeps {
  pipeline(): Pipeline;
  readonly queue: Queue;
  readonly tracking: Tracking;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** The MIME summary that intake made, once. */
  recall(networkMessageId: string): MimeSummary | undefined;
}

/** Messages at work side by side. The next ones are taken when half of them are done, so that a slow one holds up nobody. */
const WINDOW = 64;

/** Starts the loop. It runs for as long as the queue is open. */
export function startCategorizer(deps: CategorizeDeps): void {
  const atWork = new SteadyMap<Promise<void>>();
  // Replies to clients whose messages are on disk go before the work on those messages.
  const inBackground = createInBackground(deps.clock);
  const start = (item: QueueItem) => {
    const work = inBackground(() => categorizeOne(item, deps)).then(() => {
      // One that was put off, and is due again, is at work again.
      if (atWork.get(item.message.id) === work) atWork.delete(item.message.id);
      if (atWork.size === 0) pumps.wake("");
      else if (atWork.size <= WINDOW / 2) pumps.wakeStarved("");
    });
    atWork.set(item.message.id, work);
    return work;
  };
  const pumps = createPumps({
    async round() {
      const limit = WINDOW - atWork.size;
      if (limit < WINDOW / 2) return "starved";
      const items = await deps.queue.take("Submission", { limit });
      for (const turn of inTurns(items)) await takeTurn(turn);
      return items.length === limit ? "more" : "nothing";
    },
    onFault: (_, cause) => deps.log.error({ cause: String(cause) }, "submission queue not read"),
  });
  /** One that outlived a crash has the floor to itself. */
  const takeTurn = async (turn: readonly QueueItem[]) => {
    const alone = turn.some(({ crashes }) => crashes > 0);
    if (alone) await Promise.all(atWork.values());
    const begun = turn.map(start);
    if (alone) await Promise.all(begun);
  };
  deps.queue.onDue((queue) => {
    if (queue === "Submission") pumps.wake("");
  });
}

/** Never rejects. */
async function categorizeOne(item: QueueItem, deps: CategorizeDeps): Promise<void> {
  const end = deps.metrics.categorizeSeconds.startTimer();
  try {
    const pipeline = deps.pipeline();
    const { plan, change } = await decide(item, pipeline, deps);
    if (change === undefined) return await defer(item, plan.deferReason ?? "", deps);
    await apply(change, deps);
    report(item, plan, deps);
    if (pipeline !== deps.pipeline()) await routeAgain(change, deps);
  } catch (cause) {
    await deferFault(item, cause, deps);
  } finally {
    end();
  }
}

/** The usual message goes on as one copy. After a crash it is categorized again, so its row need not be on disk before it is tried. */
async function apply(change: Change, { queue }: CategorizeDeps): Promise<void> {
  const { update: [copy, ...others] = [], insert = [], remove = [] } = change;
  const isUsual = copy !== undefined && others.length + insert.length + remove.length === 0;
  await (isUsual ? queue.passOn(copy) : queue.apply(change));
}

/** What found no route by a configuration of before was not there yet when the next one called for such mail (wake-waiting.ts). */
async function routeAgain(
  { update = [], insert = [] }: Change,
  { queue, log }: CategorizeDeps,
): Promise<void> {
  const lost = [...update, ...insert].filter((item) => item.queue === "Unreachable");
  if (lost.length === 0) return;
  const ids = lost.map(({ message }) => message.id);
  await queue.retry({ queue: "Unreachable", ids }, { resubmit: true }).catch((cause: unknown) => {
    log.warn({ cause: String(cause) }, "unreachable mail not routed again, the next configuration will");
  });
}

/** All work on the message itself, marked: a crash in here is the message's doing, one in the commit is not. */
async function decide(
  item: QueueItem,
  pipeline: Pipeline,
  deps: CategorizeDeps,
): Promise<{ plan: Plan; change: Change | undefined }> {
  const unmark = deps.queue.mark(item.message.id);
  try {
    const mime = pipeline.rules.needsMime ? await summaryOf(item, pipeline, deps) : undefined;
    const plan = await planMessage(item, {
      pipeline,
      mime,
      scan: () => summaryOf(item, pipeline, deps),
      now: deps.clock.now(),
    });
    if (plan.deferReason !== undefined) return { plan, change: undefined };
    return await toChange(item, plan, deps);
  } finally {
    unmark();
  }
}

async function summaryOf(
  item: QueueItem,
  { snapshot }: Pipeline,
  deps: CategorizeDeps,
): Promise<MimeSummary> {
  const known = deps.recall(item.message.networkMessageId);
  if (known !== undefined) return known;
  const { maxMimeParts, maxMimeDepth } = snapshot.transport.limits;
  const limits = { maxParts: maxMimeParts, maxDepth: maxMimeDepth, maxText: MAX_TEXT };
  return scanMime(item.message.header, deps.queue.readBody(item.message.body), limits);
}

/** One change for the whole plan: the copies, the DSNs, and the end of the original. */
async function toChange(
  item: QueueItem,
  plan: Plan,
  deps: CategorizeDeps,
): Promise<{ plan: Plan; change: Change }> {
  const made: QueueItem[] = [];
  const failed = [...plan.failed];
  // Copies of one rule outcome share their edits, and so their content.
  const contents = new Map<PlannedCopy["edits"], Awaited<ReturnType<typeof applyEdits>>>();
  for (const copy of plan.copies) {
    const edited = contents.get(copy.edits) ?? (await applyEdits(item.message, copy.edits, deps.queue));
    contents.set(copy.edits, edited);
    if ("rejected" in edited) {
      for (const recipient of copy.recipients)
        failed.push({ recipient, status: "5.7.1", text: edited.rejected, remoteMta: "" });
    } else {
      const id = made.length === 0 ? item.message.id : deps.ids.next();
      made.push(toItem(item, copy, { ...item.message, ...edited, id }, deps.clock.now()));
    }
  }
  if (failed.length + plan.dsns.length === 0) return { plan, change: asChange(item, made, []) };
  const settled = settleFailed(item, failed, "ROUTING");
  const dsns: readonly DsnRequest[] = [...settled.dsns, ...wantedDsns(item, plan.dsns)];
  const bounces = await bounceItems(item, dsns, deps);
  const events = [...plan.events, ...settled.events];
  return { plan: { ...plan, events }, change: asChange(item, made, bounces) };
}

function report(item: QueueItem, plan: Plan, { tracking, metrics, log }: CategorizeDeps): void {
  for (const event of plan.events) tracking.track(event);
  for (const { rule, outcome } of plan.policy?.trace ?? [])
    if (outcome !== "not-matched") metrics.ruleHits.inc({ rule, outcome });
  for (const text of plan.logTexts) log.info({ ...ofMessage(item.message), text }, "rule log event");
}

/** The first copy keeps the id, so that the usual message is one row updated once. */
function asChange(item: QueueItem, made: readonly QueueItem[], bounces: readonly QueueItem[]): Change {
  const [first, ...others] = made;
  if (first === undefined) return { insert: bounces, remove: [item.message.id] };
  return { update: [first], insert: [...others, ...bounces] };
}

function toItem(item: QueueItem, copy: PlannedCopy, message: QueueItem["message"], now: number): QueueItem {
  const waits = copy.queue === "Unreachable";
  return {
    ...item,
    message: {
      ...message,
      envelope: { ...message.envelope, recipients: copy.recipients },
      priority: copy.priority,
      stamps: copy.stamps,
    },
    queue: copy.queue,
    nextHop: copy.nextHop,
    status: copy.queue === "Quarantine" ? "Suspended" : "Ready",
    // Unreachable mail waits for the configuration to change, or to expire.
    dueAt: waits ? item.expiresAt : now,
    attempts: 0,
    lastError: copy.reason,
  };
}

async function deferFault(item: QueueItem, cause: unknown, deps: CategorizeDeps): Promise<void> {
  const { queue, log } = deps;
  log.error(
    { ...ofMessage(item.message), cause: cause instanceof Error ? cause.stack : String(cause) },
    "categorizer fault",
  );
  try {
    await defer(item, "Categorizer fault", deps);
  } catch (again) {
    log.error({ ...ofMessage(item.message), cause: String(again) }, "message not deferred, kept as it was");
    void queue.releaseLater([item.message.id]);
  }
}

async function defer(item: QueueItem, reason: string, deps: CategorizeDeps): Promise<void> {
  const attempts = item.attempts + 1;
  const { retryIntervalsMs } = deps.pipeline().snapshot.transport.queue;
  const now = deps.clock.now();
  // Due at its expiry at the latest: whoever defers it then would find it due again at once.
  if (now >= item.expiresAt) return expire({ ...item, lastError: reason }, deps);
  const dueAt = nextAttempt({ attempts, now, retryIntervalsMs, expiresAt: item.expiresAt });
  await deps.queue.apply({ update: [{ ...item, status: "Retry", attempts, dueAt, lastError: reason }] });
  deps.tracking.track({
    of: ofMessage(item.message),
    step: { event: "DEFER", source: "ROUTING", text: reason, attempts },
  });
}

/** Deferred once too often: it fails as any other message whose time is over. */
async function expire(item: QueueItem, deps: CategorizeDeps): Promise<void> {
  const settings = deps.pipeline().snapshot.transport.queue;
  const { dsns, events } = settleOverdue(item, settings, deps.clock.now());
  const insert = await bounceItems(item, dsns, deps);
  await deps.queue.apply({ insert, remove: [item.message.id] });
  for (const event of events) deps.tracking.track(event);
}
