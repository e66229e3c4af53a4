/**
 * Queues: all queues of a state folder as one: a transport with several workers has one for each.
 *
 * In: a state folder. Out: a QueueAdmin. Rows of a queue that several of them have are one row; verbs go to each.
 *
 * @module
 */
import {
  openAdmin,
  type QueueAdmin,
  type QueueItemSummary,
  type QueueSummary,
} from "../transport/queue/mod.ts";
import { queueFolder, queueFolders } from "../transport/workers/mod.ts";

/** Throws when there is none. */
export function openQueues(state: string, options: Parameters<typeof openAdmin>[1]): QueueAdmin {
  const paths = queueFolders(state).map(({ path }) => path);
  // With none at all, the usual one says so.
  if (paths.length === 0) paths.push(queueFolder(state, 0));
  return joinAdmins(paths.map((path) => openAdmin(path, options)));
}

export function joinAdmins(admins: readonly QueueAdmin[]): QueueAdmin {
  const [first] = admins;
  if (first === undefined) throw new Error("There is no queue");
  if (admins.length === 1) return first;
  const holderOf = (id: string) => admins.find((admin) => admin.get(id) !== undefined) ?? first;
  const sum = async (act: (admin: QueueAdmin) => Promise<number>) => {
    let total = 0;
    for (const admin of admins) total += await act(admin);
    return total;
  };
  return {
    summary: () => mergeRows(admins.flatMap((admin) => admin.summary())),
    list({ limit, offset, ...filter }) {
      const each = admins.flatMap((admin) => admin.list({ ...filter, limit: offset + limit, offset: 0 }));
      return each.toSorted(byId).slice(offset, offset + limit);
    },
    get: (id) => holderOf(id).get(id),
    export: (id) => holderOf(id).export(id),
    envelope: (id) => holderOf(id).envelope(id),
    suspend: (filter) => sum((admin) => admin.suspend(filter)),
    resume: (filter) => sum((admin) => admin.resume(filter)),
    retry: (filter, how) => sum((admin) => admin.retry(filter, how)),
    remove: (filter, how) => sum((admin) => admin.remove(filter, how)),
    close() {
      for (const admin of admins) admin.close();
    },
  };
}

function mergeRows(rows: readonly QueueSummary[]): readonly QueueSummary[] {
  const merged = new Map<string, QueueSummary>();
  for (const row of rows) {
    const key = `${row.queue} ${row.nextHop}`;
    const other = merged.get(key);
    merged.set(key, other === undefined ? row : mergeTwo(other, row));
  }
  return [...merged.values()];
}

function mergeTwo(a: QueueSummary, b: QueueSummary): QueueSummary {
  return {
    ...a,
    messages: a.messages + b.messages,
    retrying: a.retrying + b.retrying,
    suspended: a.suspended + b.suspended,
    oldest: earlier(a.oldest, b.oldest),
    nextDueAt: earlier(a.nextDueAt, b.nextDueAt),
    lastError: a.lastError ?? b.lastError,
  };
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

/** As each queue lists them: ids sort by time. */
function byId(a: QueueItemSummary, b: QueueItemSummary): number {
  return a.id < b.id ? -1 : Number(a.id > b.id);
}
