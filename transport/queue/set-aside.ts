/** Set aside: changes that the queue makes of itself to an item that must not be handed out. None of these rejects. */
import type { DamagedBodyError } from "./bodies.ts";
import type { QueueLog } from "./queue.ts";
import type { Amendment, Change, QueueItem } from "./store.ts";
import type { Taking } from "./taking.ts";

export interface SetAsideParts {
  readonly log: QueueLog;
  apply(change: Change): Promise<void>;
  release(ids: readonly string[]): void;
  readonly taking: Pick<Taking, "dueInStore">;
}

/** What was asked of it while it was in hand. */
export async function amendNow(amendment: Amendment, { apply, log }: SetAsideParts) {
  try {
    await apply({ amend: [amendment] });
  } catch (error) {
    log.error({ messageId: amendment.id, err: error }, "message could not be suspended or made due");
  }
}

/** Its body file is damaged: it goes to Poison, and what may be due behind it is told of again. */
export async function poison(item: QueueItem, error: DamagedBodyError, parts: SetAsideParts) {
  const { id } = item.message;
  try {
    const place = { queue: "Poison", nextHop: undefined, status: "Suspended" } as const;
    await parts.apply({ update: [{ ...item, ...place, lastError: error.message }] });
    parts.log.error({ messageId: id, err: error }, "damaged message set aside in Poison");
  } catch (cause) {
    parts.log.error({ messageId: id, err: cause }, "damaged message not set aside");
    parts.release([id]);
  }
  // Who was handed fewer than it asked for thinks that no more are due.
  parts.taking.dueInStore({ queue: item.queue, nextHop: item.nextHop?.key ?? "" });
}
