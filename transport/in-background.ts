/**
 * InBackground: begins jobs in order, in each turn of the event loop one, and more of them until a millisecond is over:
 * sockets and commits that are ready come between, so that a reply waits no longer than that. With many jobs waiting a
 * turn has more for them, or they would pile up for as long as new ones keep coming. A job that waits holds up nobody.
 *
 * @module
 */
import type { Clock } from "../lib/clock.ts";

/** In: a job that never rejects. Resolves when it is over. */
export type InBackground = (job: () => Promise<void>) => Promise<void>;

const TURN_MS = 1;
/** For each so many that wait a turn is a millisecond longer. */
const CROWD = 8;

export function createInBackground({ now }: Pick<Clock, "now">): InBackground {
  const waiting: (() => Promise<void>)[] = [];
  let turns = 0;
  let endsAt = 0;
  let isArranged = false;
  const beginNext = async () => {
    const turn = turns;
    await waiting.shift()?.();
    // Over without having waited for anything: what is left of the turn is for the next one.
    if (turn === turns && waiting.length > 0 && now() < endsAt) void beginNext();
  };
  const arrange = () => {
    if (isArranged || waiting.length === 0) return;
    isArranged = true;
    setImmediate(() => {
      isArranged = false;
      turns += 1;
      endsAt = now() + TURN_MS + Math.floor(waiting.length / CROWD);
      void beginNext();
      arrange();
    });
  };
  return (job) =>
    new Promise((resolve) => {
      waiting.push(() => job().then(resolve));
      arrange();
    });
}
