/** Sleeper: waits for a session, until the time is over or the session is. */
import type { Clock } from "../../lib/clock.ts";

const OVER = new Error("The session is over");

export class Sleeper {
  readonly #clock: Clock;
  /** Made for the first sleep: most sessions never wait. */
  #over: AbortController | undefined;
  #isOver = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns early when the session is over. */
  async sleep(ms: number): Promise<void> {
    if (ms <= 0 || this.#isOver) return;
    this.#over ??= new AbortController();
    await this.#clock.sleep(ms, this.#over.signal).catch(() => undefined);
  }

  /** The session is over: wakes whoever sleeps, and nobody sleeps any more. */
  wake(): void {
    this.#isOver = true;
    this.#over?.abort(OVER);
  }
}
