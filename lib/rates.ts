/**
 * Rates: events a minute by key, over a sliding window: the last whole minute weighs in by the part of it that the
 * window still covers. Two numbers a key, and nobody gets twice the limit at a minute's turn.
 *
 *   if (!rates.admit("source 192.0.2.1", 100, clock.now())) refuse();
 *
 * `createRates` is for one thread; shared-rates.ts has the same for threads that count together.
 *
 * @module
 */

export interface Rates {
  /** Counts the event when it is within the limit; false: it is not, and is not counted. */
  admit(key: string, limit: number, nowMs: number): boolean;
  /** Keys remembered. */
  readonly size: number;
}

/** Events of one key in a minute and in the one before it. */
export interface Window {
  readonly minute: number;
  readonly before: number;
  readonly now: number;
}

/** Keys remembered at most; those longest unused are forgotten first. */
export const MAX_KEYS = 100_000;
const MINUTE = 60_000;

export function createRates(maxKeys = MAX_KEYS): Rates {
  // Two generations: when the younger is full it becomes the older, and the older is dropped as a whole.
  // (A Map that loses its first key again and again scans ever more of what it lost.)
  const generation = Math.ceil(maxKeys / 2);
  let young = new Map<string, Window>();
  let old = new Map<string, Window>();
  return {
    get size() {
      return young.size + old.size;
    },
    admit(key, limit, nowMs) {
      const window = windowAt(young.get(key) ?? old.get(key), nowMs);
      const isWithin = hasRoom(window, limit, nowMs);
      old.delete(key);
      young.set(key, isWithin ? { ...window, now: window.now + 1 } : window);
      if (young.size >= generation) {
        old = young;
        young = new Map();
      }
      return isWithin;
    },
  };
}

/** What a window has become at this time. */
export function windowAt(window: Window | undefined, nowMs: number): Window {
  const minute = Math.floor(nowMs / MINUTE);
  if (window === undefined) return { minute, before: 0, now: 0 };
  if (window.minute === minute) return window;
  return { minute, before: window.minute === minute - 1 ? window.now : 0, now: 0 };
}

/** True when one more event is within the limit. */
export function hasRoom({ minute, before, now }: Window, limit: number, nowMs: number): boolean {
  const covered = 1 - (nowMs - minute * MINUTE) / MINUTE;
  return before * covered + now + 1 <= limit;
}
