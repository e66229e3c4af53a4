/**
 * Lock: one process at a time changes a state folder.
 *
 * Node has no flock, so the lock is SQLite's own on an empty database file: the kernel holds it for the
 * process and drops it when the process dies, however it dies. Nothing is ever stale.
 * Nobody may open queue.lock with node:fs: closing it would drop the lock (POSIX fcntl).
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Another process holds the state folder. */
export class QueueLockedError extends Error {
  override readonly name = "QueueLockedError";
}

export interface FolderLock {
  release(): void;
}

/** Takes the lock or throws QueueLockedError, which names the process that holds it. */
export function lockFolder(directory: string): FolderLock {
  const owner = join(directory, "queue.owner");
  const database = new DatabaseSync(join(directory, "queue.lock"), { timeout: 0 });
  try {
    database.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    throw new QueueLockedError(`Cannot open queue "${directory}": it is in use by ${readOwner(owner)}`, {
      cause,
    });
  }
  writeFileSync(owner, `process ${process.pid} on ${hostname()}\n`, { mode: 0o600 });
  return { release: () => database.close() };
}

function readOwner(path: string): string {
  try {
    return readFileSync(path, "utf8").trim().slice(0, 200) || "another process";
  } catch {
    return "another process";
  }
}
