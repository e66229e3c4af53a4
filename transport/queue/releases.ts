/**
 * Releases: leases given back without a change, at once or after a pause.
 *
 * The pause is for what its holder failed to settle: the disk is full, say, and handed out at once a delivered message
 * would be sent again and again. What was suspended or is to be tried at once meanwhile is changed before it is offered.
 *
 * @module
 */
import type { Clock } from "../../lib/clock.ts";
import type { Meanwhile } from "./meanwhile.ts";
import type { Amendment } from "./store.ts";
import type { Taking } from "./taking.ts";

export interface ReleaseParts {
  readonly taking: Taking;
  readonly meanwhile: Meanwhile;
  readonly clock: Clock;
  /** The queue is closed: leases end with the process. */
  readonly closed: AbortSignal;
  amend(amendment: Amendment): void;
}

const PAUSE_MS = 30_000;

export class Releases {
  readonly #parts: ReleaseParts;
  /** In hand, and the change that should have settled them failed. */
  readonly #unsettled = new Set<string>();

  constructor(parts: ReleaseParts) {
    this.#parts = parts;
  }

  /** The change of these items failed. */
  noteUnsettled(ids: readonly string[]): void {
    for (const id of ids) if (this.#parts.taking.leased(id) !== undefined) this.#unsettled.add(id);
  }

  noteSettled(id: string): void {
    this.#unsettled.delete(id);
  }

  release(ids: readonly string[]): void {
    for (const id of ids) {
      if (this.#unsettled.has(id)) void this.releaseLater([id]);
      else this.#releaseNow(id);
    }
  }

  async releaseLater(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#unsettled.delete(id);
    await Promise.all(ids.map((id) => this.#releaseAfterPause(id)));
  }

  #releaseNow(id: string): void {
    const { taking, meanwhile, amend } = this.#parts;
    const item = taking.endLease(id);
    if (item === undefined) return;
    const asked = meanwhile.askedOf(id);
    meanwhile.forget(id);
    if (asked === undefined) taking.offer(item);
    else amend({ id, ...asked });
  }

  async #releaseAfterPause(id: string): Promise<void> {
    const { taking, clock, closed } = this.#parts;
    const held = taking.leased(id);
    try {
      await clock.sleep(PAUSE_MS, closed);
    } catch {
      return;
    }
    if (held === taking.leased(id)) this.#releaseNow(id);
  }
}
