/** Pumps: rounds of work, one after another for each key, until a round finds nothing more and nobody asked meanwhile. */

export interface Pumps {
  /** Has a round begin after this call: now, or when the one that runs is over. */
  wake(key: string): void;
  /** Keys at work. */
  running(): number;
}

export interface PumpWork {
  /** True: there may be more. */
  round(key: string): Promise<boolean>;
  /** A round rejected; the pump rests until it is woken. */
  onFault(key: string, cause: unknown): void;
}

export function createPumps({ round, onFault }: PumpWork): Pumps {
  const running = new Set<string>();
  const again = new Set<string>();
  const pump = async (key: string) => {
    running.add(key);
    try {
      do again.delete(key);
      while ((await round(key)) || again.has(key));
    } catch (cause) {
      again.delete(key);
      onFault(key, cause);
    } finally {
      running.delete(key);
    }
  };
  return {
    wake(key) {
      if (running.has(key)) again.add(key);
      else void pump(key);
    },
    running: () => running.size,
  };
}
