/**
 * HopWindow: how many jobs may run at once for one next hop, and how long it rests after failing. Pure.
 *
 * Additive increase, multiplicative decrease: starts at 5, one more per success up to the connector's maximum,
 * half after a failed connection. When nothing succeeded since the failed job began, the next hop as a whole
 * rests: 1 minute, doubling to 30, with jitter. The time and the dice are parameters.
 *
 * @module
 */
const INITIAL = 5;
const FIRST_REST_MS = 60_000;
const LONGEST_REST_MS = 30 * 60_000;

export class HopWindow {
  #size = INITIAL;
  #running = 0;
  #failures = 0;
  #lastFailureAt = Number.NEGATIVE_INFINITY;
  #lastSuccessAt = Number.NEGATIVE_INFINITY;
  #restUntil: number | undefined;

  get running(): number {
    return this.#running;
  }

  begin(): void {
    this.#running += 1;
  }

  end(): void {
    this.#running -= 1;
  }

  /** Jobs that may begin now. */
  slots(now: number, maxConnections: number): number {
    if (this.restUntil(now) !== undefined) return 0;
    return Math.max(0, Math.min(this.#size, maxConnections) - this.#running);
  }

  restUntil(now: number): number | undefined {
    return this.#restUntil !== undefined && this.#restUntil > now ? this.#restUntil : undefined;
  }

  succeeded(now: number, maxConnections: number): void {
    this.#lastSuccessAt = now;
    this.#failures = 0;
    this.#restUntil = undefined;
    this.#size = Math.min(Math.max(this.#size, 1) + 1, Math.max(maxConnections, 1));
  }

  /**
   * A job that began at `startedAt` reached no host. Jobs that were under way together fail together: they count once.
   * Returns the end of the rest, if there is one.
   */
  failed(now: number, startedAt: number, random: number): number | undefined {
    if (startedAt <= this.#lastFailureAt) return this.restUntil(now);
    this.#lastFailureAt = now;
    this.#size = Math.max(1, Math.floor(this.#size / 2));
    if (this.#lastSuccessAt >= startedAt) return undefined;
    const rest = Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    // Up to a fifth more, so that many next hops that failed together do not come back together.
    this.#restUntil = now + Math.floor(rest * (1 + random / 5));
    return this.#restUntil;
  }

  reset(): void {
    this.#failures = 0;
    this.#restUntil = undefined;
    this.#lastFailureAt = Number.NEGATIVE_INFINITY;
    this.#size = Math.max(this.#size, INITIAL);
  }
}
