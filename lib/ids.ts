/** Ids that sort by time of creation and never repeat, also over restarts. */
import { randomBytes, randomUUID } from "node:crypto";
import type { Clock } from "./clock.ts";

export interface Ids {
  /** Internal message id: 9 base-36 digits of time, 4 of order, 6 of chance; upper case. */
  next(): string;
  /** Network message id: a UUID. */
  uuid(): string;
}

/** Makes an id source; ids made within a millisecond keep their order. */
export function createIds(clock: Clock): Ids {
  const chance = randomBytes(4).readUInt32BE().toString(36).padStart(7, "0").slice(-6);
  let last = 0;
  let order = 0;
  return {
    next() {
      const now = Math.max(clock.now(), last);
      order = now === last ? order + 1 : 0;
      last = now;
      return `${now.toString(36).padStart(9, "0")}${order.toString(36).padStart(4, "0")}${chance}`.toUpperCase();
    },
    uuid: () => randomUUID(),
  };
}
