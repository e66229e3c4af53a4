/** Event loop turn: its end as a promise, one for all who wait in the same turn. What waits for no I/O is done by then. */

export const TURN_OVER = Symbol("the turn is over");

export class EventLoopTurn {
  #over: Promise<typeof TURN_OVER> | undefined;

  over(): Promise<typeof TURN_OVER> {
    this.#over ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#over = undefined;
        resolve(TURN_OVER);
      });
    });
    return this.#over;
  }
}
