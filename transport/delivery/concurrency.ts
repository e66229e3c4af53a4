/**
 * HopWindow: how many jobs may run at once for one next hop, and how long it rests after failing. Pure.
 *
 * Starts at 5; one more per success up to the connector's maximum, which doubles it with every round while nothing
 * fails; half after a failed connection. When nothing succeeded since the failed job began, the next hop as a whole
 * rests, with jitter: as long as its messages' own retry intervals ask, at most 1 minute, doubling to 30. Two jobs
 * try it after a rest: the messages of a dead next hop are not all tried each time. Time and dice are parameters.
 *
 * @module
 */
const INITIAL = 5;
const AFTER_REST = 2;
const FIRST_REST_MS = 60_000;
const LONGEST_REST_MS = 30 * 60_000;

export interface FailedJob {
  readonly startedAt: number;
  /** When messages are tried again, one interval a failure; none: as long as a next hop may rest. */
  readonly retryIntervalsMs: readonly number[];
  /** Dice in [0, 1). */
  readonly random: number;
}

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
  failed(now: number, { startedAt, retryIntervalsMs, random }: FailedJob): number | undefined {
    if (startedAt <= this.#lastFailureAt) return this.restUntil(now);
    this.#lastFailureAt = now;
    this.#size = Math.max(1, Math.floor(this.#size / 2));
    if (this.#lastSuccessAt >= startedAt) return undefined;
    this.#size = Math.min(this.#size, AFTER_REST);
    const rest = restOf(this.#failures, retryIntervalsMs);
    this.#failures += 1;
    // Up to a fifth more, so that many next hops that failed together do not come back together.
    this.#restUntil = now + Math.floor(rest * (1 + random / 5));
    return this.#restUntil;
  }

  /** Whatever fails from now on and began before says nothing of the next hop as it is now. */
  reset(now: number): void {
    this.#failures = 0;
    this.#restUntil = undefined;
    this.#lastFailureAt = now;
    this.#size = Math.max(this.#size, INITIAL);
  }
}

/** The last interval holds for all failures after it. */
function restOf(failures: number, intervalsMs: readonly number[]): number {
  const interval = intervalsMs[Math.min(failures, intervalsMs.length - 1)] ?? LONGEST_REST_MS;
  return Math.min(interval, LONGEST_REST_MS, FIRST_REST_MS * 2 ** Math.min(failures, 10));
}
