/**
 * Opening a queue: takes the folder's lock, opens the store, counts crashes, sweeps orphaned bodies,
 * finds what is due, and serves the administrator's socket. What an open queue does is in queue-room.ts.
 *
 * Errors: QueueLockedError when another process has the folder; QueueStoreError when the store cannot be opened.
 *
 * @module
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import { serveAdmin } from "./admin-socket.ts";
import { openBodies } from "./bodies.ts";
import { flushFolder } from "./flush-folder.ts";
import { lockFolder } from "./lock.ts";
import { openMarks, readMarks } from "./marks.ts";
import type { Queue } from "./mod.ts";
import { QueueRoom } from "./queue-room.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import type { Amendment, QueueItem, QueueStore, StoreEvents } from "./store.ts";

/** What the queue logs with; a pino logger fits. */
export interface QueueLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface QueueOptions {
  /** The state folder; made when missing. One process at a time. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: QueueLog;
  /** Bodies up to this many octets lie in the database. */
  readonly inlineLimit?: number;
  /** Octets of due messages kept in memory. */
  readonly memoryBound?: number;
  /** Crashes of the process, while it worked on a message, that send the message to Poison. */
  readonly poisonThreshold?: number;
  /** A message was set aside for its crashes; lastError says so. */
  readonly onPoison?: (item: QueueItem) => void;
  /** Disk full, I/O error, or the store died. Changes that failed are rejected as well. */
  readonly onFault?: (error: Error) => void;
  /** Removes (apply) what an administrator removes, with a DSN when asked; the items are leased. Left out: just removed. */
  readonly onRemove?: (items: readonly QueueItem[], withDsn: boolean) => Promise<void>;
  /** The engine. Left out: SQLite in the state folder. */
  readonly openStore?: (path: string, events: StoreEvents) => Promise<QueueStore>;
}

const INLINE_LIMIT = 32 * 1024;
const POISON_THRESHOLD = 2;

/** Opens the queue of a state folder, or makes it. */
export async function openQueue(options: QueueOptions): Promise<Queue> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  await flushFolder(dirname(options.directory));
  const lock = lockFolder(options.directory);
  const closers: (() => unknown)[] = [() => lock.release()];
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    return await openLocked(options, closers, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function openLocked(
  options: QueueOptions,
  closers: (() => unknown)[],
  closeAll: () => Promise<void>,
): Promise<Queue> {
  const { directory, log, inlineLimit = INLINE_LIMIT, openStore = openSqliteStore } = options;
  const opened: { queue?: QueueRoom } = {};
  const store = await openStore(join(directory, "queue.db"), storeEvents(options, opened));
  closers.push(() => store.close());
  const bodies = await openBodies(
    {
      directory: join(directory, "bodies"),
      inlineLimit,
      onDamaged: (error) => opened.queue?.noteDamaged(error),
      onFault: (error) => reportFault(options, error),
    },
    await store.bodyFiles(),
  );
  closers.push(() => bodies.close());
  const marks = openMarks(join(directory, "marks"));
  closers.push(() => marks.close());
  await countCrashes(store, readMarks(join(directory, "marks")), options);
  marks.clear();
  const queue = new QueueRoom(options, { store, bodies, marks, closeAll });
  opened.queue = queue;
  closers.push(() => marks.clear());
  await queue.start();
  closers.push(await serveAdmin(join(directory, "admin.sock"), queue, log));
  return queue;
}

function storeEvents(options: QueueOptions, opened: { readonly queue?: QueueRoom }): StoreEvents {
  return {
    onUnnamed: (files) => opened.queue?.removeFiles(files),
    onDamaged(id, cause) {
      options.log.error({ messageId: id, err: cause }, "damaged message set aside in Poison");
    },
    onFault: (error) => reportFault(options, error),
  };
}

function reportFault({ log, onFault }: QueueOptions, error: Error): void {
  log.error({ err: error }, "queue cannot write");
  onFault?.(error);
}

/** Blames the messages that were being worked on when the last process ended. */
async function countCrashes(
  store: QueueStore,
  ids: ReadonlySet<string>,
  { log, poisonThreshold = POISON_THRESHOLD, onPoison }: QueueOptions,
): Promise<void> {
  const amend: Amendment[] = [];
  const poisoned: QueueItem[] = [];
  for (const id of ids) {
    const item = await store.get(id).catch(() => undefined); // A damaged row is set aside when it is due.
    if (item === undefined || item.queue === "Poison") continue;
    const crashes = item.crashes + 1;
    const poison = crashes >= poisonThreshold;
    const lastError = `The process ended ${crashes} times while working on this message`;
    if (poison) poisoned.push({ ...item, crashes, queue: "Poison", status: "Suspended", lastError });
    amend.push(poison ? { id, crashes, queue: "Poison", status: "Suspended", lastError } : { id, crashes });
    log.warn({ messageId: id, crashes }, poison ? "message set aside in Poison" : "message outlived a crash");
  }
  await store.apply({ amend });
  for (const item of poisoned) onPoison?.(item);
}
