/**
 * Event loop turn: waits for promises to its end, with one immediate for all who wait in the same turn. What waits for
 * no I/O is done by then.
 *
 * @module
 */

export const TURN_OVER = Symbol("the turn is over");

export class EventLoopTurn {
  /** Who waits in this turn. Each is told of its end; whose promise was settled before hears nothing of that. */
  #waiting: ((over: typeof TURN_OVER) => void)[] = [];

  /** What the promise gives, or TURN_OVER when the turn ends before. */
  within<Value>(pending: Promise<Value>): Promise<Value | typeof TURN_OVER> {
    return new Promise((resolve, reject) => {
      pending.then(resolve, reject);
      if (this.#waiting.push(resolve) === 1) setImmediate(() => this.#end());
    });
  }

  #end(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve(TURN_OVER);
  }
}
