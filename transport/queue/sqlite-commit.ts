/**
 * SQLite commit: writes a batch of changes in one transaction, with one flush.
 *
 * Where that fails, each change is tried in a transaction of its own, so that one bad change fails alone.
 * Rows come flat (item-codec.ts), their octets in one buffer.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { FIXED_COLUMNS, ITEM_COLUMNS, type Value } from "./item-codec.ts";
import type { Prepare } from "./sqlite-reads.ts";
import type { Amendment } from "./store.ts";

/** Where octets lie in the batch's buffer: [start, end]; null: not changed, or in a file. */
export type Span = readonly [number, number] | null;

/** One row to write. For an update, a null span leaves the octets as they are. */
export interface PackedItem {
  readonly row: readonly Value[];
  readonly header: Span;
  readonly body: Span;
}

export interface PackedChange {
  readonly insert: readonly PackedItem[];
  readonly update: readonly PackedItem[];
  readonly amend: readonly Amendment[];
  readonly remove: readonly string[];
}

/** What went wrong, in words and as SQLite's result code. */
export interface Fault {
  readonly message: string;
  readonly code: number;
}

export interface BatchResult {
  /** One per change; null: on disk. */
  readonly faults: readonly (Fault | null)[];
  /** Body files that no item names any more. */
  readonly unnamed: readonly string[];
}

const SQLITE_FULL = 13;
const CHANGING = ITEM_COLUMNS.slice(0, -FIXED_COLUMNS);
const INSERT_ITEM = `INSERT INTO items (${ITEM_COLUMNS.join(", ")}) VALUES (${ITEM_COLUMNS.map(() => "?").join(", ")})`;
const INSERT_CONTENT = "INSERT INTO content (item, header, body) VALUES (?, ?, ?)";
const FIND = "SELECT seq, body_file FROM items WHERE id = ?";
const UPDATE_ITEM = `UPDATE items SET ${CHANGING.map((column) => `${column} = ?`).join(", ")} WHERE seq = ?`;
const UPDATE_HEADER = "UPDATE content SET header = ? WHERE item = ?";
const UPDATE_BODY = "UPDATE content SET body = ? WHERE item = ?";
const AMEND_ITEM = `UPDATE items SET queue = coalesce(:queue, queue),
  next_hop = iif(:queue IS NULL, next_hop, ''), next_hop_details = iif(:queue IS NULL, next_hop_details, NULL),
  status = coalesce(:status, status), due_at = coalesce(:due, due_at), attempts = coalesce(:attempts, attempts),
  crashes = coalesce(:crashes, crashes), last_error = coalesce(:error, last_error) WHERE id = :id`;
const REMOVE_ITEM = "DELETE FROM items WHERE id = ? RETURNING seq, body_file";
const REMOVE_CONTENT = "DELETE FROM content WHERE item = ?";
const FILE_IS_NAMED = "SELECT 1 FROM items WHERE body_file = ? LIMIT 1";

export function commitBatch(
  database: DatabaseSync,
  statement: Prepare,
  changes: readonly PackedChange[],
  octets: Uint8Array,
): BatchResult {
  let together = transact(database, statement, changes, octets);
  if (!Array.isArray(together) && together.code === SQLITE_FULL && makeRoom(database)) {
    together = transact(database, statement, changes, octets);
  }
  if (Array.isArray(together)) return { faults: changes.map(() => null), unnamed: together };
  if (changes.length === 1) return { faults: [together], unnamed: [] };
  const unnamed: string[] = [];
  const faults = changes.map((change) => {
    const alone = transact(database, statement, [change], octets);
    if (!Array.isArray(alone)) return alone;
    unnamed.push(...alone);
    return null;
  });
  return { faults, unnamed };
}

/** Brings the log home, so that it is written from its start again: its space is ours even on a full disk. */
function makeRoom(database: DatabaseSync): boolean {
  try {
    database.exec("PRAGMA wal_checkpoint(RESTART)");
    return true;
  } catch {
    return false; // The fault that brought us here is the one to report.
  }
}

/** One transaction: the body files it left without a name, or the fault that undid it. */
function transact(
  database: DatabaseSync,
  statement: Prepare,
  changes: readonly PackedChange[],
  octets: Uint8Array,
): string[] | Fault {
  try {
    statement("BEGIN IMMEDIATE").run();
    const dropped: string[] = [];
    for (const change of changes) writeChange({ statement, octets, dropped }, change);
    const unnamed = [...new Set(dropped)].filter((file) => statement(FILE_IS_NAMED).get(file) === undefined);
    statement("COMMIT").run();
    return unnamed;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    return faultOf(error);
  }
}

interface Batch {
  readonly statement: Prepare;
  /** Octets of all its changes. */
  readonly octets: Uint8Array;
  /** Body files that its changes let go of. */
  readonly dropped: string[];
}

function writeChange(batch: Batch, { insert, update, amend, remove }: PackedChange): void {
  for (const item of insert) insertItem(batch, item);
  for (const item of update) updateItem(batch, item);
  for (const amendment of amend) amendItem(batch, amendment);
  for (const id of remove) removeItem(batch, id);
}

function insertItem({ statement, octets }: Batch, { row, header, body }: PackedItem): void {
  const { lastInsertRowid } = statement(INSERT_ITEM).run(...row);
  statement(INSERT_CONTENT).run(lastInsertRowid, slice(octets, header), slice(octets, body));
}

function updateItem({ statement, octets, dropped }: Batch, { row, header, body }: PackedItem): void {
  const id = String(row.at(-1));
  const found = statement(FIND).get(id) as [number, string | null] | undefined;
  if (found === undefined) throw new Error(`Message "${id}" is not in the queue`);
  const [seq, fileBefore] = found;
  const file = row[ITEM_COLUMNS.indexOf("body_file")];
  statement(UPDATE_ITEM).run(...row.slice(0, CHANGING.length), seq);
  if (header !== null) statement(UPDATE_HEADER).run(slice(octets, header), seq);
  if (body !== null || file !== fileBefore) statement(UPDATE_BODY).run(slice(octets, body), seq);
  if (fileBefore !== null && file !== fileBefore) dropped.push(fileBefore);
}

function amendItem({ statement }: Batch, amendment: Amendment): void {
  statement(AMEND_ITEM).run({
    queue: amendment.queue ?? null,
    status: amendment.status ?? null,
    due: amendment.dueAt ?? null,
    attempts: amendment.attempts ?? null,
    crashes: amendment.crashes ?? null,
    error: amendment.lastError ?? null,
    id: amendment.id,
  });
}

function removeItem({ statement, dropped }: Batch, id: string): void {
  const [seq, file] = (statement(REMOVE_ITEM).get(id) ?? []) as unknown as [number?, (string | null)?];
  if (seq !== undefined) statement(REMOVE_CONTENT).run(seq);
  if (typeof file === "string") dropped.push(file);
}

function slice(octets: Uint8Array, span: Span): Uint8Array | null {
  return span === null ? null : octets.subarray(span[0], span[1]);
}

function faultOf(error: unknown): Fault {
  const { message, errcode } = error as Error & { errcode?: number };
  return { message, code: errcode ?? 0 };
}
