/** How long a reflector rests before it tries again: longer each time, until it ran well for a while. Pure but for the dice. */
export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** What must have run so long for the next rest to be the first again; a single event is no sign of health. */
  readonly healthyMs: number;
  /** Dice in [0, 1). */
  readonly random: () => number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Milliseconds to rest after a failure that came after `ranForMs` of running. */
  next(ranForMs: number): number {
    const { firstMs, maxMs, healthyMs, random } = this.#options;
    if (ranForMs >= healthyMs) this.#failures = 0;
    const restMs = Math.min(maxMs, firstMs * 2 ** Math.min(this.#failures++, 30));
    return Math.round(restMs * (0.75 + random() / 4));
  }
}
