/**
 * SQLite schema of the queue, and its migrations (PRAGMA user_version).
 *
 * `items` holds what is searched, `content` the octets: a retry rewrites some hundred octets, not the message.
 * `items_due` covers both "what is due for this next hop" and the summary. The view `messages` is for people.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";

const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE items (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    network_id TEXT NOT NULL,
    queue TEXT NOT NULL CHECK (queue IN ('Submission', 'Delivery', 'Unreachable', 'Poison', 'Quarantine')),
    next_hop TEXT NOT NULL,
    next_hop_details TEXT,
    status TEXT NOT NULL CHECK (status IN ('Ready', 'Retry', 'Suspended')),
    due_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    delay_notified INTEGER NOT NULL,
    priority INTEGER NOT NULL CHECK (priority IN (0, 1, 2)),
    last_error TEXT,
    crashes INTEGER NOT NULL,
    sender TEXT NOT NULL,
    recipients TEXT NOT NULL,
    size INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    subject TEXT NOT NULL,
    body_file TEXT,
    body_size INTEGER NOT NULL,
    details TEXT NOT NULL
  );
  CREATE TABLE content (item INTEGER PRIMARY KEY, header BLOB NOT NULL, body BLOB);
  CREATE INDEX items_due ON items (queue, next_hop, priority, due_at, id, status, received_at)
    WHERE status <> 'Suspended';
  CREATE INDEX items_suspended ON items (queue, next_hop, received_at, id) WHERE status = 'Suspended';
  CREATE INDEX items_expires ON items (expires_at) WHERE queue IN ('Submission', 'Delivery', 'Unreachable');
  CREATE INDEX items_delayed ON items (received_at)
    WHERE delay_notified = 0 AND queue IN ('Submission', 'Delivery', 'Unreachable');
  CREATE INDEX items_network_id ON items (network_id);
  CREATE INDEX items_body_file ON items (body_file, body_size) WHERE body_file IS NOT NULL;
  CREATE VIEW messages AS
    SELECT id, queue, next_hop, status, attempts, crashes, sender, replace(recipients, char(10), ' ') AS recipients,
      subject, size, datetime(received_at / 1000, 'unixepoch') AS received,
      datetime(due_at / 1000, 'unixepoch') AS due, datetime(expires_at / 1000, 'unixepoch') AS expires,
      last_error, body_file, CAST(header AS TEXT) AS header
    FROM items LEFT JOIN content ON item = seq;
  `,
  // 2: bodies may lie in segments. A program of before would take these for files that no row names, and delete them.
  "",
  // 3: only an administrator asks by network message id, and can wait; every message would pay for the index.
  "DROP INDEX items_network_id;",
];

/** Settings that hold for one connection. */
export function configureConnection(database: DatabaseSync): void {
  // auto_vacuum takes effect on an empty file only; incremental, so that a drained queue gives its disk back.
  database.exec(`
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cache_size = -16000;
    PRAGMA temp_store = MEMORY;
  `);
}

/** Brings the schema to the newest version. A newer one than this program knows is refused. */
export function migrate(database: DatabaseSync): void {
  const version = Number(database.prepare("PRAGMA user_version").get()?.user_version);
  if (version > MIGRATIONS.length) {
    throw new Error(
      `Cannot open the queue: its version ${version} is newer than this program's ${MIGRATIONS.length}`,
    );
  }
  for (let next = version; next < MIGRATIONS.length; next++) {
    database.exec(`BEGIN IMMEDIATE; ${MIGRATIONS[next]} PRAGMA user_version = ${next + 1}; COMMIT;`);
  }
}
