/** What became of a load's messages, by id, and its faults in words. */
import { eventually } from "../helpers/eventually.ts";
import type { LoadFault, LoadResult } from "./mail-load.ts";
import type { MailPlace } from "./mail-place.ts";

const DELIVERED_WITHIN_MS = 90_000;

export interface MailAccount {
  readonly accepted: number;
  readonly delivered: number;
  /** Messages that pods say they still hold. */
  readonly queued: number;
  /** Accepted, not delivered; nothing is lost when as many are queued. */
  readonly missing: readonly string[];
  /** Of the accepted, delivered more than once. */
  readonly twice: readonly string[];
  /** Of those, where a client was left without the reply to its data and sent again. */
  readonly twiceByClient: number;
}

/** Waits until nothing is missing, or it has waited long enough. */
export async function accountFor(place: MailPlace, { accepted, faults }: LoadResult): Promise<MailAccount> {
  const missingOf = (ids: ReadonlyMap<string, number>) => accepted.filter((id) => !ids.has(id));
  await eventually(async () => missingOf(await place.sink.ids()).length === 0, DELIVERED_WITHIN_MS).catch(
    () => {},
  );
  const ids = await place.sink.ids();
  const missing = missingOf(ids);
  // Pods say it some seconds later.
  await eventually(async () => (await queuedIn(place)) === missing.length).catch(() => {});
  const twice = accepted.filter((id) => (ids.get(id) ?? 0) > 1);
  const unanswered = new Set(faults.filter(({ stage }) => stage === "end of data").map(({ id }) => id));
  return {
    accepted: accepted.length,
    delivered: accepted.length - missing.length,
    queued: await queuedIn(place),
    missing,
    twice,
    twiceByClient: twice.filter((id) => unanswered.has(id)).length,
  };
}

interface PodReport {
  readonly status?: { readonly queue?: { readonly messages: number } };
}

/** Messages that pods say they hold. */
export async function queuedIn(place: MailPlace): Promise<number> {
  const { items } = await place.object("transportpods");
  return items.reduce((sum: number, { status }: PodReport) => sum + (status?.queue?.messages ?? 0), 0);
}

/** What is done to the cluster, from when to when. */
export interface Disturbance {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** Faults by cause, each with what was going on, and when of it. */
export function explainFaults(faults: readonly LoadFault[], done: readonly Disturbance[]): string[] {
  const times = new Map<string, number[]>();
  for (const { time, stage, cause } of faults) {
    const during = done.findLast(({ from }) => from <= time);
    const line = `${stage}: ${cause} (since ${during?.name ?? "the beginning"})`;
    times.set(line, [...(times.get(line) ?? []), (time - (during?.from ?? time)) / 1000]);
  }
  return [...times].map(([line, seconds]) => {
    const [first, last] = [Math.min(...seconds), Math.max(...seconds)];
    return `${seconds.length} x ${line}, from ${first.toFixed(1)} s to ${last.toFixed(1)} s of it`;
  });
}
