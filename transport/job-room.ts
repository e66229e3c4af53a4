/** JobRoom: how many more jobs may run over all next hops, and who is told when there is room again. First come, first served. */
import { SteadyMap } from "../lib/steady-map.ts";

export interface JobRoom {
  /** Takes the places that `reserve(most)` got; with none left to get `key` is woken as soon as one is given back. */
  take(key: string, reserve: (most: number) => number): number;
  /** How many `key` has left. */
  give(key: string, places: number): number;
  taken(): number;
}

/** Where places come from, and go back to. */
export interface PlaceSource {
  /** Places for all jobs, those that run included. */
  readonly room: number;
  release(key: string, places: number): void;
}

export function createJobRoom(source: PlaceSource, wake: (key: string) => void): JobRoom {
  const waiting = new Set<string>();
  const takenBy = new SteadyMap<number>();
  let taken = 0;
  const count = (key: string, places: number) => {
    const now = (takenBy.get(key) ?? 0) + places;
    if (now === 0) takenBy.delete(key);
    else takenBy.set(key, now);
    taken += places;
    return now;
  };
  return {
    take(key, reserve) {
      const free = Math.max(0, source.room - taken);
      if (free === 0) waiting.add(key);
      // Asked for none too: who gives places must know who lacks them.
      const got = reserve(free);
      count(key, got);
      return got;
    },
    give(key, places) {
      source.release(key, places);
      const left = count(key, -places);
      for (const next of waiting) {
        if (taken >= source.room) break;
        waiting.delete(next);
        wake(next);
      }
      return left;
    },
    taken: () => taken,
  };
}
