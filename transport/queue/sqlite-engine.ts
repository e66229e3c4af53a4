/** SQLite engine: the queue's database, synchronous. Runs in the worker; the command line uses it to read. */
import { DatabaseSync } from "node:sqlite";
import { type Batch, commitBatch } from "./sqlite-commit.ts";
import { createFlushes } from "./sqlite-flushes.ts";
import {
  type ListFilter,
  type Prepare,
  prepareOnce,
  selectBodyFiles,
  selectDue,
  selectItem,
  selectList,
  selectNextDue,
  selectOverdue,
  selectPlaces,
  selectSummary,
} from "./sqlite-reads.ts";
import { configureConnection, migrate } from "./sqlite-schema.ts";
import type { DueQuery, QueueFilter, QueueStore } from "./store.ts";

const FREE_PAGES_KEPT = 2000;

/** Opens the database, or makes it; `readOnly` leaves everything as it is. */
export function openEngine(path: string, { readOnly }: { readOnly: boolean }) {
  const database = new DatabaseSync(path, { readOnly, timeout: 5000 });
  if (!readOnly) {
    configureConnection(database);
    migrate(database);
  }
  const statement = prepareOnce(database);
  const flushes = createFlushes(database, statement);
  return {
    commit: (batch: Batch) => commitBatch({ database, statement, flushes }, batch),
    /** Flushes what was committed without: body files that no item names any more. */
    flush: () => flushes.flush(),
    get: (id: string) => selectItem(statement, id),
    due: (query: DueQuery) => selectDue(statement, query),
    overdue: (query: Parameters<QueueStore["overdue"]>[0]) => selectOverdue(statement, query),
    nextDue: (queue: string, nextHop: string, after: number) =>
      selectNextDue(statement, queue, nextHop, after),
    select: (filter: QueueFilter) => selectPlaces(database, filter),
    summary: () => selectSummary(statement),
    list: (filter: ListFilter) => selectList(database, filter),
    /** Every body file that an item names, with its size. */
    bodyFiles: () => selectBodyFiles(statement),
    /** Gives some free pages back to the file system. True: there are more. */
    vacuum: () => vacuum(database, statement),
    close: () => {
      try {
        flushes.flush();
      } catch {
        // Nobody was told that what is lost by this is flushed.
      }
      database.close();
    },
  };
}

export type Engine = ReturnType<typeof openEngine>;

function vacuum(database: DatabaseSync, statement: Prepare): boolean {
  const [free] = statement("PRAGMA freelist_count").get() as unknown as [number];
  if (free <= FREE_PAGES_KEPT) return false;
  database.exec("PRAGMA incremental_vacuum(500)");
  return true;
}
