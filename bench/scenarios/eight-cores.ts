/**
 * What eight cores would give, with the load elsewhere, from what one and two workers cost here. Pure.
 *
 * A worker is bound by its main thread, all of them by the cores. Each further worker is taken to cost what the second
 * one did: CPU for a message grows (or shrinks) by the same share, which holds until something else is shared.
 */

export interface Cost {
  /** Seconds of CPU for one message: of the whole transport and of its busiest thread. */
  readonly cpu: number;
  readonly busiestThread: number;
}

export interface Estimate {
  readonly workers: number;
  readonly perSecond: number;
  readonly boundBy: "its main thread" | "the cores";
}

/** `two`: its busiest thread is one of two main threads, which has half of the messages. */
export function estimateFor(
  cores: number,
  workers: number,
  costs: { readonly one: Cost; readonly two: Cost },
): Estimate {
  const { one, two } = costs;
  const growth = Math.max(1, two.cpu / one.cpu);
  const cpu = one.cpu * growth;
  const byThreads = workers / (one.busiestThread * growth);
  const byCores = cores / cpu;
  return byThreads < byCores
    ? { workers, perSecond: byThreads, boundBy: "its main thread" }
    : { workers, perSecond: byCores, boundBy: "the cores" };
}
