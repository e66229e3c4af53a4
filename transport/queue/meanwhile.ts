/** Meanwhile: what happened to an item while it was in hand, and its holder does not know. Pure but for what it notes. */
import type { Amendment, Change, QueueItem } from "./store.ts";

/** What an administrator or a new configuration asked of an item in hand. */
export type Asked = Omit<Amendment, "id">;

export class Meanwhile {
  /** Suspended by an administrator; takes effect when the holder is done. */
  readonly suspended = new Set<string>();
  /** To be tried at once: should the attempt under way fail, its message does not wait for the next one. */
  readonly retried = new Map<string, Asked>();
  /** Body files that turned out damaged: the next change of their messages sends these to Poison. */
  readonly damagedFiles = new Set<string>();

  adjust(change: Change): Change {
    if (change.update === undefined) return change;
    if (this.suspended.size + this.retried.size + this.damagedFiles.size === 0) return change;
    return { ...change, update: change.update.map((item) => this.adjustItem(item)) };
  }

  adjustItem(item: QueueItem): QueueItem {
    const { body, id } = item.message;
    if (body.kind === "file" && this.damagedFiles.has(body.name)) {
      const lastError = "Its body file is damaged";
      return { ...item, queue: "Poison", nextHop: undefined, status: "Suspended", lastError };
    }
    if (this.suspended.has(id)) return { ...item, status: "Suspended" };
    const retried = this.retried.get(id);
    if (retried === undefined) return item;
    // What found no route is not due by a time: only routing it again helps.
    const waits = item.queue === "Unreachable" ? retried.queue !== undefined : item.status === "Retry";
    if (!waits) return item;
    const nextHop = retried.queue === undefined ? item.nextHop : undefined;
    return { ...item, ...retried, nextHop };
  }

  /** What was asked of an item that its holder gives back as it was. */
  askedOf(id: string): Asked | undefined {
    return this.suspended.has(id) ? { status: "Suspended" } : this.retried.get(id);
  }

  forget(id: string): void {
    this.suspended.delete(id);
    this.retried.delete(id);
  }
}
