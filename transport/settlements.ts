/**
 * Settlements: deliveries that are over and whose outcome is not on disk yet.
 *
 * Their places at the next hop are given to others meanwhile, up to a bound: were the process to end now, all of these
 * messages would be delivered once more. What could not be written counts until its message is released.
 *
 * @module
 */

export interface Settlements {
  /** Runs one. `onFault` says when its message is released. Resolves when it is written, or known not to be. */
  run(settle: () => Promise<void> | void, onFault: (cause: unknown) => Promise<void>): Promise<void>;
  /** Being written. */
  running(): number;
  /** So many run that the next one must keep its place at the next hop until it is written. */
  isFull(): boolean;
  /** So many could not be written that no delivery may begin. */
  isOverrun(): boolean;
}

const MOST = 200;

export function createSettlements(): Settlements {
  let running = 0;
  let failed = 0;
  return {
    async run(settle, onFault) {
      running += 1;
      try {
        await settle();
      } catch (cause) {
        failed += 1;
        void onFault(cause).finally(() => {
          failed -= 1;
        });
      } finally {
        running -= 1;
      }
    },
    running: () => running,
    isFull: () => running >= MOST,
    isOverrun: () => failed >= MOST,
  };
}
