/**
 * Administrator's verbs on an open queue: suspend, resume, retry, remove.
 *
 * Items are found by filter in the store and changed in chunks, so that mail goes on between them.
 * An item in hand is left to its holder: what is asked of it takes effect when the holder is done (meanwhile.ts); only
 * remove skips it.
 *
 * @module
 */
import type { Clock } from "../../lib/clock.ts";
import type { Fence } from "./fence.ts";
import type { Asked, Meanwhile } from "./meanwhile.ts";
import type { Change, ItemPlace, QueueFilter, QueueItem, QueueStore } from "./store.ts";
import type { Taking } from "./taking.ts";

/** What the verbs need of the queue. */
export interface AdminScope {
  readonly store: QueueStore;
  readonly meanwhile: Meanwhile;
  readonly onRemove: ((items: readonly QueueItem[], withDsn: boolean) => Promise<void>) | undefined;
  readonly clock: Pick<Clock, "now">;
  readonly taking: Pick<Taking, "leased" | "lease">;
  readonly fence: Pick<Fence, "isChanging" | "quiet">;
  apply(change: Change): Promise<void>;
  release(ids: readonly string[]): void;
}

/** Each resolves to the number of messages touched. */
export interface AdminVerbs {
  suspend(filter: QueueFilter): Promise<number>;
  resume(filter: QueueFilter): Promise<number>;
  retry(filter: QueueFilter, options: { readonly resubmit: boolean }): Promise<number>;
  remove(filter: QueueFilter, options: { readonly withDsn: boolean }): Promise<number>;
}

export interface RetryNews {
  /** Hears of each next hop before retry() reaches messages of it. */
  onRetry(listener: (nextHop: string) => void): void;
}

const CHUNK = 500;
const REMOVE_CHUNK = 50;

export function adminVerbs(scope: AdminScope): AdminVerbs & RetryNews {
  const { meanwhile } = scope;
  const listeners: ((nextHop: string) => void)[] = [];
  return {
    suspend: (filter) =>
      changeAll(scope, filter, {
        isMeant: ({ status }) => status !== "Suspended",
        asked: () => ({ status: "Suspended" }),
        inHand: ({ id }) => meanwhile.suspended.add(id).has(id),
      }),
    resume: (filter) =>
      changeAll(scope, filter, {
        isMeant: (place) =>
          meanwhile.suspended.has(place.id) || (place.status === "Suspended" && !isHeldBack(place)),
        asked: (place) => dueNow(place, scope.clock.now()),
        inHand: ({ id }) => meanwhile.suspended.delete(id),
      }),
    retry(filter, { resubmit }) {
      const now = scope.clock.now();
      const asked = (place: ItemPlace) => (resubmit ? routedAgain(now) : dueNow(place, now));
      return changeAll(scope, filter, {
        isMeant(place) {
          const isSuspended = place.status === "Suspended" || meanwhile.suspended.has(place.id);
          return !isSuspended || (resubmit && isHeldBack(place));
        },
        begin(places) {
          const hops = places.flatMap(({ queue, nextHop }) => (queue === "Delivery" ? [nextHop] : []));
          for (const nextHop of new Set(hops)) for (const listener of listeners) listener(nextHop);
        },
        asked,
        inHand: (place) => meanwhile.retried.set(place.id, asked(place)).has(place.id),
      });
    },
    async remove(filter, { withDsn }) {
      if (withDsn && scope.onRemove === undefined) {
        throw new Error("Cannot remove with a DSN: no transport is running to write it");
      }
      const places = await scope.store.select(filter);
      let removed = 0;
      for (let at = 0; at < places.length; at += REMOVE_CHUNK) {
        removed += await removeChunk(scope, places.slice(at, at + REMOVE_CHUNK), withDsn);
      }
      return removed;
    },
    onRetry: (listener) => void listeners.push(listener),
  };
}

/** Poison and Quarantine keep their messages until somebody resubmits them; resume is not meant for them. */
function isHeldBack({ queue }: ItemPlace): boolean {
  return queue === "Poison" || queue === "Quarantine";
}

/** What found no route is tried by looking for one again. */
function dueNow({ queue }: ItemPlace, now: number): Asked {
  return queue === "Unreachable" ? routedAgain(now) : { status: "Ready", dueAt: now };
}

function routedAgain(now: number): Asked {
  return { queue: "Submission", status: "Ready", dueAt: now, attempts: 0, crashes: 0 };
}

interface Verb {
  isMeant(place: ItemPlace): boolean;
  /** Before anything is changed. */
  begin?(places: readonly ItemPlace[]): void;
  asked(place: ItemPlace): Asked;
  /** Takes note of what is asked, for when the holder is done. False: there is nothing to be done. */
  inHand(place: ItemPlace): boolean;
}

/**
 * What is being changed is looked at again when that is over: it may have left. So is each chunk but the first: while
 * those before it were written, somebody may have suspended its messages, or set them aside.
 */
async function changeAll(scope: AdminScope, filter: QueueFilter, verb: Verb): Promise<number> {
  const meant = async (of: QueueFilter) =>
    (await scope.store.select(of)).filter((place) => verb.isMeant(place));
  const places = await meant(filter);
  verb.begin?.(places);
  const changing: string[] = [];
  let count = 0;
  for (let at = 0; at < places.length; at += CHUNK) {
    const chunk = places.slice(at, at + CHUNK);
    const now = at === 0 ? chunk : await meant({ ...filter, ids: chunk.map(({ id }) => id) });
    const free: ItemPlace[] = [];
    for (const place of now) {
      if (scope.fence.isChanging(place.id)) changing.push(place.id);
      else if (scope.taking.leased(place.id) === undefined) free.push(place);
      else if (verb.inHand(place)) count += 1;
    }
    await scope.apply({ amend: free.map((place) => ({ id: place.id, ...verb.asked(place) })) });
    count += free.length;
  }
  if (changing.length === 0) return count;
  await scope.fence.quiet(changing);
  return count + (await changeAll(scope, { ...filter, ids: changing }, verb));
}

function isTaken(scope: AdminScope, id: string): boolean {
  return scope.taking.leased(id) !== undefined || scope.fence.isChanging(id);
}

async function removeChunk(
  scope: AdminScope,
  places: readonly ItemPlace[],
  withDsn: boolean,
): Promise<number> {
  const items: QueueItem[] = [];
  const unreadable: string[] = [];
  for (const { id } of places) {
    if (isTaken(scope, id)) continue;
    try {
      const item = await scope.store.get(id);
      if (item === undefined || isTaken(scope, id)) continue;
      scope.taking.lease(item);
      items.push(item);
    } catch {
      unreadable.push(id); // A damaged row: nobody can be told, but it can be removed.
    }
  }
  const ids = items.map(({ message }) => message.id);
  try {
    if (scope.onRemove === undefined) await scope.apply({ remove: ids });
    else if (items.length > 0) await scope.onRemove(items, withDsn);
    await scope.apply({ remove: unreadable });
  } finally {
    scope.release(ids);
  }
  return items.length + unreadable.length;
}
