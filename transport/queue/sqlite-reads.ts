/** SQLite reads: what the queue asks its database, each by an index. In and out are flat rows (item-codec.ts). */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { ITEM_COLUMNS, type Row, SUMMARY_COLUMNS, type Value } from "./item-codec.ts";
import type { DueQuery, QueueFilter, QueueStore } from "./store.ts";

/** A prepared statement for that text, made once; rows are arrays. */
export type Prepare = (sql: string) => StatementSync;
export type ListFilter = Parameters<QueueStore["list"]>[0];

const ITEM = ITEM_COLUMNS.join(", ");
const SELECT_ITEM = `SELECT ${ITEM}, header, body FROM items LEFT JOIN content ON item = seq WHERE id = ?`;
const BODY_FILES = "SELECT DISTINCT body_file, body_size FROM items WHERE body_file IS NOT NULL";
const DUE = `SELECT id FROM items WHERE queue = ? AND next_hop = ? AND priority = ? AND due_at <= ?
  AND status <> 'Suspended' ORDER BY due_at, id LIMIT ?`;
const NEXT_DUE = `SELECT min(due_at) FROM items WHERE queue = ? AND next_hop = ? AND priority = ? AND due_at > ?
  AND status <> 'Suspended'`;
const ANY_DUE = `SELECT id FROM items WHERE queue = ? AND due_at <= ? AND status <> 'Suspended'
  ORDER BY priority, due_at, id LIMIT ?`;
const EXPIRED = `SELECT id FROM items WHERE expires_at <= ?
  AND queue IN ('Submission', 'Delivery', 'Unreachable') ORDER BY expires_at LIMIT ?`;
const DELAYED = `SELECT id FROM items WHERE received_at < ? AND delay_notified = 0
  AND queue IN ('Submission', 'Delivery', 'Unreachable') ORDER BY received_at LIMIT ?`;
// The covering scan names, per group, the retrying message that is due last; its error stands for the queue's.
const SUMMARY_DUE = `SELECT g.queue, g.next_hop, messages, retrying, oldest, next_due, last_error FROM (
    SELECT queue, next_hop, count(*) AS messages, sum(status = 'Retry') AS retrying, min(received_at) AS oldest,
      min(due_at) AS next_due, max(iif(status = 'Retry', due_at || '/' || id, NULL)) AS last
    FROM items WHERE status <> 'Suspended' GROUP BY queue, next_hop) AS g
  LEFT JOIN items ON items.id = substr(last, instr(last, '/') + 1)`;
const SUMMARY_SUSPENDED = `SELECT g.queue, g.next_hop, messages, oldest, last_error FROM (
    SELECT queue, next_hop, count(*) AS messages, min(received_at) AS oldest, max(id) AS last
    FROM items WHERE status = 'Suspended' GROUP BY queue, next_hop) AS g
  LEFT JOIN items ON items.id = last`;

export function prepareOnce(database: DatabaseSync): Prepare {
  const statements = new Map<string, StatementSync>();
  return (sql) => {
    let statement = statements.get(sql);
    if (statement === undefined) {
      statement = database.prepare(sql);
      statement.setReturnArrays(true);
      statements.set(sql, statement);
    }
    return statement;
  };
}

export function selectItem(statement: Prepare, id: string): Row | undefined {
  return statement(SELECT_ITEM).get(id) as Row | undefined;
}

export function selectBodyFiles(statement: Prepare): [string, number][] {
  return statement(BODY_FILES).all() as unknown as [string, number][];
}

/** Rows of what may fall due, then rows of what is suspended. */
export function selectSummary(statement: Prepare): [Row[], Row[]] {
  return [statement(SUMMARY_DUE).all(), statement(SUMMARY_SUSPENDED).all()] as unknown as [Row[], Row[]];
}

export function selectDue(statement: Prepare, { queue, nextHop, now, limit, except }: DueQuery): Row[] {
  const ids: string[] = [];
  const room = limit + except.size;
  const keep = (rows: unknown[]) => {
    for (const [id] of rows as [string][]) if (ids.length < limit && !except.has(id)) ids.push(id);
  };
  if (queue === "Delivery" && nextHop === undefined) {
    keep(statement(ANY_DUE).all(queue, now, room));
  } else {
    for (let priority = 0; priority < 3 && ids.length < limit; priority++) {
      keep(statement(DUE).all(queue, nextHop ?? "", priority, now, room));
    }
  }
  return ids.map((id) => statement(SELECT_ITEM).get(id) as unknown as Row);
}

export function selectOverdue(statement: Prepare, query: Parameters<QueueStore["overdue"]>[0]): Row[] {
  const { now, receivedBefore, limit, except } = query;
  const room = limit + except.size;
  const found = [...statement(EXPIRED).all(now, room), ...statement(DELAYED).all(receivedBefore, room)];
  const ids = new Set((found as unknown as [string][]).map(([id]) => id)).difference(except);
  return [...ids].slice(0, limit).map((id) => statement(SELECT_ITEM).get(id) as unknown as Row);
}

export function selectNextDue(
  statement: Prepare,
  queue: string,
  nextHop: string,
  after: number,
): number | undefined {
  const times: number[] = [];
  for (let priority = 0; priority < 3; priority++) {
    const [at] = statement(NEXT_DUE).get(queue, nextHop, priority, after) as unknown as [number | null];
    if (at !== null) times.push(at);
  }
  return times.length === 0 ? undefined : Math.min(...times);
}

export function selectPlaces(database: DatabaseSync, { ids, queue, nextHop }: QueueFilter): Row[] {
  const where: string[] = ["TRUE"];
  const values: string[] = [];
  if (ids !== undefined) {
    where.push("id IN (SELECT value FROM json_each(?))");
    values.push(JSON.stringify(ids));
  }
  if (queue !== undefined) {
    where.push("queue = ?");
    values.push(queue);
  }
  if (nextHop !== undefined) {
    where.push("next_hop = ?");
    values.push(nextHop);
  }
  const sql = `SELECT id, queue, next_hop, status FROM items WHERE ${where.join(" AND ")} ORDER BY id`;
  return runOnce(database, sql, values);
}

export function selectList(database: DatabaseSync, filter: ListFilter): Row[] {
  const where: string[] = ["TRUE"];
  const values: (string | number)[] = [];
  const add = (condition: string, value: string | undefined) => {
    if (value === undefined) return;
    where.push(condition);
    values.push(value);
  };
  add("queue = ?", filter.queue);
  add("next_hop = ?", filter.nextHop);
  add("network_id = ?", filter.networkMessageId);
  add("lower(sender) = lower(?)", filter.sender);
  add(
    "instr(char(10) || lower(recipients) || char(10), char(10) || lower(?) || char(10)) > 0",
    filter.recipient,
  );
  const sql = `SELECT ${SUMMARY_COLUMNS.join(", ")} FROM items WHERE ${where.join(" AND ")}
    ORDER BY id LIMIT ? OFFSET ?`;
  return runOnce(database, sql, [...values, filter.limit, filter.offset]);
}

function runOnce(database: DatabaseSync, sql: string, values: readonly Value[]): Row[] {
  const statement = database.prepare(sql);
  statement.setReturnArrays(true);
  return statement.all(...values) as unknown as Row[];
}
