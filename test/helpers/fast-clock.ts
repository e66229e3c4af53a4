/** A clock whose time runs `factor` times as fast, for whole transports: an hour of waiting passes in seconds. */
import { type Clock, systemClock } from "../../lib/clock.ts";

export function fastClock(factor: number): Clock {
  const begin = systemClock.now();
  return {
    now: () => begin + (systemClock.now() - begin) * factor,
    sleep: (ms, signal) => systemClock.sleep(ms / factor, signal),
  };
}
