/**
 * SQLite commit: writes a batch of changes in one transaction, with one flush or none (sqlite-flushes.ts).
 *
 * Where that fails, each change is tried in a transaction of its own, so that one bad change fails alone.
 * Rows come flat (item-codec.ts), their octets in a buffer beside them.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { FIXED_COLUMNS, ITEM_COLUMNS, type Value } from "./item-codec.ts";
import type { Flushes } from "./sqlite-flushes.ts";
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

/** One change; undefined: none. */
export interface PackedChange {
  readonly insert: readonly PackedItem[] | undefined;
  readonly update: readonly PackedItem[] | undefined;
  readonly amend: readonly Amendment[] | undefined;
  readonly remove: readonly string[] | undefined;
}

/** A change with the buffer that its spans lie in. */
export interface WholeChange extends PackedChange {
  readonly octets: Uint8Array;
}

export interface Batch {
  readonly changes: readonly WholeChange[];
  /** False: it is written and outlives the process; it outlives a power failure from the next flush on. */
  readonly flush: boolean;
}

/** What went wrong, in words and as SQLite's result code. */
export interface Fault {
  readonly message: string;
  readonly code: number;
}

export interface BatchResult {
  /** One per change; null: written. Empty: all were. */
  readonly faults: readonly (Fault | null)[];
  /** Body files that no item names any more, after the change that let go of them was flushed. */
  readonly unnamed: readonly string[];
  /** All that was ever written is on disk now. */
  readonly flushed: boolean;
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

export interface Connection {
  readonly database: DatabaseSync;
  readonly statement: Prepare;
  readonly flushes: Flushes;
}

export function commitBatch(connection: Connection, batch: Batch): BatchResult {
  const { changes, flush } = batch;
  let together = transact(connection, batch);
  if (isFault(together) && together.code === SQLITE_FULL && makeRoom(connection)) {
    together = transact(connection, batch);
  }
  if (!isFault(together)) return { faults: [], unnamed: together, flushed: flush };
  if (changes.length === 1) return { faults: [together], unnamed: [], flushed: false };
  const unnamed: string[] = [];
  const faults = changes.map((change) => {
    const alone = transact(connection, { ...batch, changes: [change] });
    if (isFault(alone)) return alone;
    unnamed.push(...alone);
    return null;
  });
  // Where something failed, what came before may not be flushed.
  return { faults, unnamed, flushed: false };
}

/** Brings the log home, so that it is written from its start again: its space is ours even on a full disk. */
function makeRoom({ database, flushes }: Connection): boolean {
  try {
    database.exec("PRAGMA wal_checkpoint(RESTART)");
    return true;
  } catch (error) {
    flushes.failed(faultOf(error).code);
    return false; // The fault that brought us here is the one to report.
  }
}

/** One transaction: the body files that may be removed after it, or the fault that undid it. */
function transact(
  { database, statement, flushes }: Connection,
  { changes, flush }: Batch,
): readonly string[] | Fault {
  try {
    flushes.begin(flush);
    const dropped: string[] = [];
    for (const change of changes) writeChange({ statement, octets: change.octets, dropped }, change);
    const unnamed = [...new Set(dropped)].filter((file) => statement(FILE_IS_NAMED).get(file) === undefined);
    statement("COMMIT").run();
    return flushes.end(unnamed);
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    const fault = faultOf(error);
    flushes.failed(fault.code);
    return fault;
  }
}

function isFault(result: readonly string[] | Fault): result is Fault {
  return !Array.isArray(result);
}

interface Transaction {
  readonly statement: Prepare;
  readonly octets: Uint8Array;
  /** Body files that its changes let go of. */
  readonly dropped: string[];
}

function writeChange(
  transaction: Transaction,
  { insert = [], update = [], amend = [], remove = [] }: PackedChange,
): void {
  for (const item of insert) insertItem(transaction, item);
  for (const item of update) updateItem(transaction, item);
  for (const amendment of amend) amendItem(transaction, amendment);
  for (const id of remove) removeItem(transaction, id);
}

function insertItem({ statement, octets }: Transaction, { row, header, body }: PackedItem): void {
  const { lastInsertRowid } = statement(INSERT_ITEM).run(...row);
  statement(INSERT_CONTENT).run(lastInsertRowid, slice(octets, header), slice(octets, body));
}

function updateItem({ statement, octets, dropped }: Transaction, { row, header, body }: PackedItem): void {
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

function amendItem({ statement }: Transaction, amendment: Amendment): void {
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

function removeItem({ statement, dropped }: Transaction, id: string): void {
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
