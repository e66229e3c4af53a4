/**
 * Administrator's verbs on an open queue: suspend, resume, retry, remove.
 *
 * Items are found by filter in the store and changed in chunks, so that mail goes on between them.
 * An item in hand is left to its holder: suspending it takes effect when the holder is done, the rest skips it.
 *
 * @module
 */
import type { Amendment, Change, ItemPlace, QueueFilter, QueueItem, QueueStore } from "./store.ts";

/** What the verbs need of the queue. */
export interface AdminScope {
  readonly store: QueueStore;
  readonly suspendLater: Set<string>;
  readonly onRemove: ((items: readonly QueueItem[], withDsn: boolean) => Promise<void>) | undefined;
  now(): number;
  apply(change: Change): Promise<void>;
  release(ids: readonly string[]): void;
  isInHand(id: string): boolean;
  lease(item: QueueItem): void;
}

/** Each resolves to the number of messages touched. */
export interface AdminVerbs {
  suspend(filter: QueueFilter): Promise<number>;
  resume(filter: QueueFilter): Promise<number>;
  retry(filter: QueueFilter, options: { readonly resubmit: boolean }): Promise<number>;
  remove(filter: QueueFilter, options: { readonly withDsn: boolean }): Promise<number>;
}

const CHUNK = 500;
const REMOVE_CHUNK = 50;

export function adminVerbs(scope: AdminScope): AdminVerbs {
  return {
    async suspend(filter) {
      const places = (await scope.store.select(filter)).filter(({ status }) => status !== "Suspended");
      const inHand = places.filter(({ id }) => scope.isInHand(id));
      for (const { id } of inHand) scope.suspendLater.add(id);
      return inHand.length + (await amendAll(scope, places, ({ id }) => ({ id, status: "Suspended" })));
    },
    async resume(filter) {
      const places = await scope.store.select(filter);
      const spared = places.filter(({ id }) => scope.suspendLater.delete(id));
      const held = places.filter((place) => place.status === "Suspended" && !isHeldBack(place));
      const amendment = ({ id }: ItemPlace) => ({ id, status: "Ready", dueAt: scope.now() }) as const;
      return spared.length + (await amendAll(scope, held, amendment));
    },
    async retry(filter, { resubmit }) {
      const places = (await scope.store.select(filter)).filter(
        (place) => place.status !== "Suspended" || (resubmit && isHeldBack(place)),
      );
      return await amendAll(scope, places, ({ id }) => retried(id, scope.now(), resubmit));
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
  };
}

/** Poison and Quarantine keep their messages until somebody resubmits them; resume is not meant for them. */
function isHeldBack({ queue }: ItemPlace): boolean {
  return queue === "Poison" || queue === "Quarantine";
}

function retried(id: string, now: number, resubmit: boolean): Amendment {
  if (!resubmit) return { id, status: "Ready", dueAt: now };
  return { id, queue: "Submission", status: "Ready", dueAt: now, attempts: 0, crashes: 0 };
}

async function amendAll(
  scope: AdminScope,
  places: readonly ItemPlace[],
  amendment: (place: ItemPlace) => Amendment,
): Promise<number> {
  let count = 0;
  for (let at = 0; at < places.length; at += CHUNK) {
    const free = places.slice(at, at + CHUNK).filter(({ id }) => !scope.isInHand(id));
    await scope.apply({ amend: free.map(amendment) });
    count += free.length;
  }
  return count;
}

async function removeChunk(
  scope: AdminScope,
  places: readonly ItemPlace[],
  withDsn: boolean,
): Promise<number> {
  const items: QueueItem[] = [];
  const unreadable: string[] = [];
  for (const { id } of places) {
    if (scope.isInHand(id)) continue;
    try {
      const item = await scope.store.get(id);
      if (item === undefined || scope.isInHand(id)) continue;
      scope.lease(item);
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
