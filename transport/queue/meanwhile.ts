/** Meanwhile: what happened to an item while it was in hand, and its holder does not know. Pure but for its two sets. */
import type { Change, QueueItem } from "./store.ts";

export class Meanwhile {
  /** Suspended by an administrator; takes effect when the holder is done. */
  readonly suspended = new Set<string>();
  /** Body files that turned out damaged: the next change of their messages sends these to Poison. */
  readonly damagedFiles = new Set<string>();

  adjust(change: Change): Change {
    if (change.update === undefined) return change;
    if (this.suspended.size === 0 && this.damagedFiles.size === 0) return change;
    return { ...change, update: change.update.map((item) => this.adjustItem(item)) };
  }

  adjustItem(item: QueueItem): QueueItem {
    const { body, id } = item.message;
    if (body.kind === "file" && this.damagedFiles.has(body.name)) {
      const lastError = "Its body file is damaged";
      return { ...item, queue: "Poison", nextHop: undefined, status: "Suspended", lastError };
    }
    return this.suspended.has(id) ? { ...item, status: "Suspended" } : item;
  }
}
