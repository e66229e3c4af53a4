/**
 * Admin: the queue as the command line sees it, whether or not a transport is running on the folder.
 *
 * Reading goes straight to the database (WAL: it disturbs nobody). Changes go through the admin socket of a
 * running transport; where none runs, the queue is opened for the change, which takes the folder's lock.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import { formatHeader } from "../../mail/header.ts";
import type { Envelope } from "../../mail/message.ts";
import type { AdminRequest } from "./admin-request.ts";
import { askAdmin } from "./admin-socket.ts";
import type { AdminVerbs } from "./admin-verbs.ts";
import { readBody } from "./bodies.ts";
import { decodeItem, decodeSummary } from "./item-codec.ts";
import { openQueue, type QueueLog } from "./queue.ts";
import { type Engine, openEngine } from "./sqlite-engine.ts";
import type { QueueItem, QueueItemSummary, QueueStore, QueueSummary } from "./store.ts";
import { mergeSummary } from "./summary.ts";

export interface QueueAdmin extends AdminVerbs {
  summary(): readonly QueueSummary[];
  list(filter: Parameters<QueueStore["list"]>[0]): readonly QueueItemSummary[];
  get(id: string): QueueItem | undefined;
  /** The message as RFC 5322 octets: header, blank line, body. Throws when there is no such message. */
  export(id: string): AsyncIterable<Uint8Array>;
  /** Its envelope, for `export --envelope`. */
  envelope(id: string): Envelope | undefined;
  close(): void;
}

export interface AdminOptions {
  readonly clock: Clock;
  readonly log: QueueLog;
}

/** Opens the queue in a state folder for an administrator. Throws when there is none. */
export function openAdmin(directory: string, options: AdminOptions): QueueAdmin {
  const path = join(directory, "queue.db");
  if (!existsSync(path)) throw new Error(`Cannot open queue "${directory}": there is none`);
  const engine = openEngine(path, { readOnly: true });
  const change = changer(directory, options);
  const get = (id: string) => readItem(engine, id);
  return {
    summary: () => mergeSummary(engine.summary()),
    list: (filter) => engine.list(filter).map(decodeSummary),
    get,
    export: (id) => exportMessage(directory, get(id), id),
    envelope: (id) => get(id)?.message.envelope,
    suspend: (filter) => change({ verb: "suspend", filter }, (queue) => queue.suspend(filter)),
    resume: (filter) => change({ verb: "resume", filter }, (queue) => queue.resume(filter)),
    retry: (filter, { resubmit }) =>
      change({ verb: "retry", filter, resubmit }, (queue) => queue.retry(filter, { resubmit })),
    remove: (filter, { withDsn }) =>
      change({ verb: "remove", filter, withDsn }, (queue) => queue.remove(filter, { withDsn })),
    close: () => engine.close(),
  };
}

/** Through the socket when somebody listens, else on the queue itself. */
function changer(directory: string, options: AdminOptions) {
  return async (request: AdminRequest, perform: (queue: AdminVerbs) => Promise<number>): Promise<number> => {
    const count = await askAdmin(join(directory, "admin.sock"), request);
    if (count !== undefined) return count;
    const queue = await openQueue({ directory, ...options });
    try {
      return await perform(queue);
    } finally {
      await queue.close();
    }
  };
}

function readItem(engine: Engine, id: string): QueueItem | undefined {
  const row = engine.get(id);
  return row === undefined ? undefined : decodeItem(row);
}

async function* exportMessage(
  directory: string,
  item: QueueItem | undefined,
  id: string,
): AsyncGenerator<Uint8Array> {
  if (item === undefined) throw new Error(`Cannot export message "${id}": it is not in the queue`);
  const { header, body } = item.message;
  yield Buffer.from(`${formatHeader(header)}\r\n`, "latin1");
  yield* readBody({ directory: join(directory, "bodies"), onDamaged: () => undefined }, body);
}
