/**
 * SQLite flushes: which transactions flush the log, and what waits for the next one that does.
 *
 * With synchronous FULL a commit flushes the whole log, what earlier commits left unflushed included; with NORMAL it
 * flushes nothing. Either way a log cut short by a power failure ends with a whole transaction, in the order written.
 * A body file may go only after a flush: a power failure would bring back a row that names it.
 * After a flush that failed nobody knows which earlier transactions are on disk, and what comes behind a gap in the log
 * is lost with it: then the log is brought home and begun anew before anything else is written.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import type { Prepare } from "./sqlite-reads.ts";

export interface Flushes {
  /** Begins a transaction; whether its commit flushes. */
  begin(flush: boolean): void;
  /** After its commit, with the body files it let go of: those that may be removed now. */
  end(unnamed: readonly string[]): readonly string[];
  /** SQLite failed with this result code. */
  failed(code: number): void;
  /** Flushes what was not: the body files that may be removed now. */
  flush(): readonly string[];
}

const SQLITE_IOERR = 10;
const PRIMARY_CODE = 0xff;
// A checkpoint flushes the log, and says nothing when that fails: not while the log has what is not flushed.
const FLUSHING = "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000";
const NOT_FLUSHING = "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0";

/** For a connection as configureConnection() leaves it. */
export function createFlushes(database: DatabaseSync, statement: Prepare): Flushes {
  const version = Number(database.prepare("PRAGMA user_version").get()?.user_version);
  // Writes the same number again, and so a page: a commit that writes none flushes none.
  const touch = `PRAGMA user_version = ${version}`;
  let flushing = true;
  /** Something was committed since the last flush. */
  let isBehind = false;
  let mayHaveGap = false;
  let waiting: string[] = [];

  const begin = (flush: boolean) => {
    if (mayHaveGap) restartLog();
    if (flush !== flushing) {
      // Not prepared once: these take effect when they are compiled.
      database.exec(flush ? FLUSHING : NOT_FLUSHING);
      flushing = flush;
    }
    statement("BEGIN IMMEDIATE").run();
    if (flush && isBehind) statement(touch).run();
  };
  const restartLog = () => {
    const [isBusy] = statement("PRAGMA wal_checkpoint(RESTART)").get() as unknown as [number];
    if (isBusy !== 0) throw new Error("Cannot begin the log anew after a failed flush: somebody reads it");
    mayHaveGap = false;
  };
  const end = (unnamed: readonly string[]) => {
    isBehind = !flushing;
    if (isBehind) {
      waiting.push(...unnamed);
      return [];
    }
    const all = [...waiting, ...unnamed];
    waiting = [];
    return all;
  };
  const failed = (code: number) => {
    if (isBehind && (code & PRIMARY_CODE) === SQLITE_IOERR) mayHaveGap = true;
  };
  return {
    begin,
    end,
    failed,
    flush() {
      if (!isBehind) return [];
      try {
        begin(true);
        statement("COMMIT").run();
      } catch (error) {
        if (database.isTransaction) database.exec("ROLLBACK");
        failed((error as { errcode?: number }).errcode ?? 0);
        throw error;
      }
      return end([]);
    },
  };
}
