/** Waker: one timer for the earliest of many times. */
import type { Clock } from "./clock.ts";

// setTimeout cannot wait longer than 2^31 ms; waking for nothing once a day is cheap.
const LONGEST_WAIT_MS = 24 * 60 * 60 * 1000;

export class Waker {
  readonly #clock: Clock;
  readonly #wake: () => void;
  #at = Number.POSITIVE_INFINITY;
  #sleep: AbortController | undefined;
  #stopped = false;

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Wakes at that time, unless something earlier is set already. */
  set(at: number): void {
    if (at >= this.#at || this.#stopped) return;
    this.#at = at;
    this.#sleep?.abort();
    void this.#wait(at);
  }

  stop(): void {
    this.#stopped = true;
    this.#sleep?.abort();
  }

  async #wait(at: number): Promise<void> {
    const sleep = new AbortController();
    this.#sleep = sleep;
    const ms = Math.min(Math.max(at - this.#clock.now(), 0), LONGEST_WAIT_MS);
    try {
      await this.#clock.sleep(ms, sleep.signal);
    } catch {
      return; // Stopped, or something earlier was set.
    }
    if (sleep.signal.aborted) return;
    this.#at = Number.POSITIVE_INFINITY;
    this.#wake();
  }
}
