/**
 * Watch: looks after the time of all sessions of a service with one timer: whoever is due is asked to see to it.
 *
 * Each is looked at when it asked to be, or up to a quarter of a second later where many are.
 *
 * @module
 */
import type { Clock } from "../../lib/clock.ts";
import { Roster } from "../../lib/roster.ts";

export interface Watched {
  /** Does what is due; ms until something may be due again. */
  look(now: number): number;
}

/** How long a client may take to close its half after we have closed ours. */
export const HALF_CLOSE_MS = 5000;
/** A new one is looked at this soon at the latest, and so is one whose time has become shorter. */
const LONGEST_MS = 1000;
const SHORTEST_MS = 250;
const OVER = new Error("The watch is over");

export class Watch {
  readonly #clock: Clock;
  readonly #watched = new Roster<Watched>();
  readonly #over = new AbortController();
  #runs = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Its place, for remove(). */
  add(watched: Watched): number {
    const place = this.#watched.enter(watched);
    if (!this.#runs) void this.#run();
    return place;
  }

  /** Once for each that was added. */
  remove(place: number): void {
    this.#watched.leave(place);
  }

  /** Nobody is looked at any more. */
  close(): void {
    this.#over.abort(OVER);
  }

  async #run(): Promise<void> {
    this.#runs = true;
    const { signal } = this.#over;
    while (this.#watched.size > 0 && !signal.aborted) {
      const ms = this.#look(this.#clock.now());
      await this.#clock.sleep(ms, signal).catch(() => undefined);
    }
    this.#runs = false;
  }

  #look(now: number): number {
    let next = LONGEST_MS;
    for (const watched of this.#watched) next = Math.min(next, watched.look(now));
    return Math.max(next, SHORTEST_MS);
  }
}
