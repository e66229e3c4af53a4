/** Deadline: a signal that aborts when time is up, or when nothing was heard for so long, or when the caller's signal does. */
import type { Clock } from "../clock.ts";

export interface DeadlineOptions {
  readonly clock: Clock;
  readonly ms: number;
  /** The caller's. */
  readonly outer?: AbortSignal | undefined;
  /** How often within `ms` it looks whether heard() was called; 1 for a call that nothing prolongs. */
  readonly looks?: number;
}

export class Deadline {
  readonly #cut = new AbortController();
  readonly #over = new AbortController();
  readonly #options: DeadlineOptions;
  readonly #onOuter = () => this.#fire("aborted");
  #cause: "timeout" | "aborted" | undefined;
  #heard = false;

  constructor(options: DeadlineOptions) {
    this.#options = options;
    if (options.outer?.aborted) this.#fire("aborted");
    else {
      options.outer?.addEventListener("abort", this.#onOuter, { once: true });
      this.#wait().catch(() => undefined);
    }
  }

  get signal(): AbortSignal {
    return this.#cut.signal;
  }

  /** Why the signal aborted. */
  get cause(): "timeout" | "aborted" | undefined {
    return this.#cause;
  }

  /** Begins anew. */
  heard(): void {
    this.#heard = true;
  }

  /** Ends the waiting; the signal stays as it is. */
  end(): void {
    this.#options.outer?.removeEventListener("abort", this.#onOuter);
    this.#over.abort();
  }

  async #wait(): Promise<void> {
    const { clock, ms, looks = 1 } = this.#options;
    for (let quiet = 0; quiet < looks; quiet++) {
      await clock.sleep(ms / looks, this.#over.signal);
      if (!this.#heard) continue;
      this.#heard = false;
      quiet = -1;
    }
    this.#fire("timeout");
  }

  #fire(cause: "timeout" | "aborted"): void {
    this.#cause = cause;
    this.end();
    this.#cut.abort();
  }
}
