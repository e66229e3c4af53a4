/** Pumps: rounds of work, one after another for each key, until a round finds nothing more and nobody asked meanwhile. */
import { SteadySet } from "../lib/steady-map.ts";

export interface Pumps {
  /** Has a round begin after this call: now, or when the one that runs is over. */
  wake(key: string): void;
  /** There is room again: the same, unless the last round left nothing behind. */
  wakeStarved(key: string): void;
  /** Keys at work. */
  running(): number;
}

/** What a round leaves behind: nothing; more, for the next round; what there was no room for. */
export type Rest = "nothing" | "more" | "starved";

export interface PumpWork {
  round(key: string): Promise<Rest>;
  /** A round rejected; the pump rests until it is woken. */
  onFault(key: string, cause: unknown): void;
}

export function createPumps({ round, onFault }: PumpWork): Pumps {
  const running = new SteadySet();
  const again = new SteadySet();
  const starved = new SteadySet();
  const pump = async (key: string) => {
    running.add(key);
    starved.delete(key);
    try {
      let rest: Rest;
      do {
        again.delete(key);
        rest = await round(key);
      } while (rest === "more" || again.has(key));
      if (rest === "starved") starved.add(key);
    } catch (cause) {
      again.delete(key);
      starved.add(key);
      onFault(key, cause);
    } finally {
      running.delete(key);
    }
  };
  const wake = (key: string) => {
    if (running.has(key)) again.add(key);
    else void pump(key);
  };
  return {
    wake,
    wakeStarved(key) {
      if (running.has(key) || starved.has(key)) wake(key);
    },
    running: () => running.size,
  };
}
