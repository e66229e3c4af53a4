/** A clock that moves when told. */
import type { MonotonicClock } from "../../lib/clock.ts";

export interface FakeClock extends MonotonicClock {
  /** Moves on, waking sleepers in the order of their times, each with a turn of the event loop to go to sleep again. */
  advance(ms: number): Promise<void>;
  /** How many sleep. */
  sleepers(): number;
}

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

export function createFakeClock(start = 1_000_000): FakeClock {
  let now = start;
  const sleepers = new Set<Sleeper>();
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return {
    now: () => now,
    monotonic: () => now,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const onAbort = () => {
          sleepers.delete(sleeper);
          reject(signal?.reason);
        };
        const sleeper = {
          at: now + ms,
          wake() {
            signal?.removeEventListener("abort", onAbort);
            resolve();
          },
        };
        sleepers.add(sleeper);
        signal?.addEventListener("abort", onAbort, { once: true });
      });
    },
    sleepers: () => sleepers.size,
    async advance(ms) {
      const end = now + ms;
      for (;;) {
        const [next] = [...sleepers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (next === undefined) break;
        sleepers.delete(next);
        now = Math.max(now, next.at);
        next.wake();
        await turn();
      }
      now = end;
      await turn();
    },
  };
}
