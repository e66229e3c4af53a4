/** Read after: a store whose readers first wait until what they must see is written. */
import type { QueueStore } from "./store.ts";

export function readAfter(written: () => Promise<void>, store: QueueStore): QueueStore {
  const reading =
    <Arguments extends unknown[], Answer>(read: (...args: Arguments) => Promise<Answer>) =>
    async (...args: Arguments): Promise<Answer> => {
      await written();
      return await read(...args);
    };
  return {
    apply: (change, held, options) => store.apply(change, held, options),
    get: reading((id) => store.get(id)),
    due: reading((query) => store.due(query)),
    overdue: reading((query) => store.overdue(query)),
    nextDue: reading((query) => store.nextDue(query)),
    select: reading((filter) => store.select(filter)),
    bodyFiles: reading(() => store.bodyFiles()),
    summary: reading(() => store.summary()),
    list: reading((filter) => store.list(filter)),
    close: () => store.close(),
  };
}
