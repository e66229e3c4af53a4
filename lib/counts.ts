/**
 * Counts by key, held against limits: sessions of a source, jobs of a next hop.
 *
 *   if (counts.take("source 192.0.2.1", 20) === 0) refuse();
 *   ...
 *   counts.give("source 192.0.2.1");
 *
 * Exact. `createCounts` is for one thread; shared-counts.ts has the same for threads that count together.
 *
 * @module
 */
import { SteadyMap } from "./steady-map.ts";

export interface Counts {
  /** Takes up to `wanted` (1) places while fewer than `limit` are taken; how many it got. */
  take(key: string, limit: number, wanted?: number): number;
  /** Gives places (1) back that take() got. */
  give(key: string, places?: number): void;
  taken(key: string): number;
}

export function createCounts(): Counts {
  const counts = new SteadyMap<number>();
  return {
    take(key, limit, wanted = 1) {
      const taken = counts.get(key) ?? 0;
      const got = Math.max(0, Math.min(wanted, limit - taken));
      if (got > 0) counts.set(key, taken + got);
      return got;
    },
    give(key, places = 1) {
      const left = (counts.get(key) ?? 0) - places;
      if (left > 0) counts.set(key, left);
      else counts.delete(key);
    },
    taken: (key) => counts.get(key) ?? 0,
  };
}
