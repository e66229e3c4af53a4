/** Deadline: a time limit that moves often. One timer, replaced only when it would fire too late: none a message. */
import type { Clock } from "../../lib/clock.ts";

export class Deadline {
  readonly #clock: Clock;
  readonly #expired: () => void;
  #at = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #timerDue = 0;

  constructor(clock: Clock, expired: () => void) {
    this.#clock = clock;
    this.#expired = expired;
  }

  /** Expires in `ms`, unless set anew or cleared. */
  set(ms: number): void {
    this.#at = this.#clock.now() + ms;
    if (this.#timer !== undefined && this.#timerDue <= this.#at) return;
    this.stop();
    this.#timerDue = this.#at;
    this.#timer = setTimeout(() => this.#onTimer(), ms).unref();
  }

  /** No limit now; the timer may run out, to nobody's harm. */
  clear(): void {
    this.#at = Number.POSITIVE_INFINITY;
  }

  /** The end: no timer is left. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #onTimer(): void {
    this.#timer = undefined;
    if (this.#at === Number.POSITIVE_INFINITY) return;
    const left = this.#at - this.#clock.now();
    if (left > 0) this.set(left);
    else this.#expired();
  }
}
