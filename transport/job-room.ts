/** JobRoom: how many more jobs may run over all next hops, and who is told when there is room again. First come, first served. */

export interface JobRoom {
  /** Takes up to `wanted()` places; 0 when all are taken: then `key` is woken as soon as one is given back. */
  take(key: string, wanted: () => number): number;
  give(places: number): void;
  taken(): number;
}

export function createJobRoom(places: () => number, wake: (key: string) => void): JobRoom {
  const waiting = new Set<string>();
  let taken = 0;
  return {
    take(key, wanted) {
      const free = places() - taken;
      if (free <= 0) {
        waiting.add(key);
        return 0;
      }
      const got = Math.min(free, wanted());
      taken += got;
      return got;
    },
    give(count) {
      taken -= count;
      for (const key of waiting) {
        if (taken >= places()) return;
        waiting.delete(key);
        wake(key);
      }
    },
    taken: () => taken,
  };
}
