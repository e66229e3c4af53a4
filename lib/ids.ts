/** Ids that sort by time of creation and never repeat, also over restarts. */
import { randomInt, randomUUIDv7 } from "node:crypto";
import type { Clock } from "./clock.ts";

export interface Ids {
  /** Internal message id: 9 base-36 digits of time, 4 of order, 6 of chance; upper case. */
  next(): string;
  /** Network message id: a UUID that begins with its time (RFC 9562 §5.7), so that the queue's index grows at its end. */
  uuid(): string;
}

/** As many sources as 6 digits tell apart. */
export const ID_SOURCES = 36 ** 6;

/** Makes an id source; ids made within a millisecond keep their order. `source`: a number that no other one has now. */
export function createIds(clock: Clock, source = randomInt(ID_SOURCES)): Ids {
  const chance = source.toString(36).padStart(6, "0");
  let last = 0;
  let order = 0;
  return {
    next() {
      const now = Math.max(clock.now(), last);
      order = now === last ? order + 1 : 0;
      last = now;
      return `${now.toString(36).padStart(9, "0")}${order.toString(36).padStart(4, "0")}${chance}`.toUpperCase();
    },
    uuid: () => randomUUIDv7(),
  };
}
