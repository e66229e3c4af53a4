/** Flushes, on a real log. */
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFlushes, type Flushes } from "./sqlite-flushes.ts";
import { prepareOnce } from "./sqlite-reads.ts";
import { configureConnection } from "./sqlite-schema.ts";

const FULL = 2;
const NORMAL = 1;
const CANNOT_FLUSH = 1034;
const DISK_IS_FULL = 13;

let directory: string;
let database: DatabaseSync;
let flushes: Flushes;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "postroom-flushes-"));
  database = new DatabaseSync(join(directory, "queue.db"));
  configureConnection(database);
  database.exec("CREATE TABLE lines (line TEXT)");
  flushes = createFlushes(database, prepareOnce(database));
});

afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true });
});

/** One transaction; the files that may be removed after it. */
function commit(flush: boolean, { unnamed = [], line }: { unnamed?: string[]; line?: string } = {}) {
  flushes.begin(flush);
  if (line !== undefined) database.prepare("INSERT INTO lines VALUES (?)").run(line);
  database.exec("COMMIT");
  return flushes.end(unnamed);
}

const setting = (name: string) => Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0];
const logSize = () => statSync(join(directory, "queue.db-wal")).size;
const logSalts = () => readFileSync(join(directory, "queue.db-wal")).toString("hex", 16, 24);

test("a commit flushes as asked, and no checkpoint comes while the log is not flushed", () => {
  commit(false, { line: "a" });
  expect([setting("synchronous"), setting("wal_autocheckpoint")]).toEqual([NORMAL, 0]);
  commit(true, { line: "b" });
  expect([setting("synchronous"), setting("wal_autocheckpoint")]).toEqual([FULL, 4000]);
});

test("files that an unflushed transaction let go of may be removed after the next flush", () => {
  expect(commit(false, { line: "a", unnamed: ["one"] })).toEqual([]);
  expect(commit(false, { line: "b", unnamed: ["two"] })).toEqual([]);
  expect(commit(true, { line: "c", unnamed: ["three"] })).toEqual(["one", "two", "three"]);
  expect(commit(true, { line: "d", unnamed: ["four"] })).toEqual(["four"]);
});

test("flush() writes when something is not flushed, and only then", () => {
  commit(true, { line: "a" });
  const before = logSize();
  expect(flushes.flush()).toEqual([]);
  expect(logSize()).toBe(before);
  commit(false, { line: "b", unnamed: ["one"] });
  const between = logSize();
  expect(flushes.flush()).toEqual(["one"]);
  expect(setting("synchronous")).toBe(FULL);
  expect(logSize()).toBeGreaterThan(between);
});

test("a transaction that is to be flushed flushes what came before, though it changes nothing", () => {
  commit(false, { line: "a", unnamed: ["one"] });
  const before = logSize();
  expect(commit(true)).toEqual(["one"]);
  expect(logSize()).toBeGreaterThan(before);
});

test("after a flush that failed the log is begun anew before anything else is written", () => {
  commit(false, { line: "a" });
  const salts = logSalts();
  flushes.failed(CANNOT_FLUSH);
  commit(true, { line: "b" });
  expect(logSalts()).not.toBe(salts);
  expect(database.prepare("SELECT line FROM lines").all()).toEqual([{ line: "a" }, { line: "b" }]);
});

test.each([
  { name: "a full disk", behind: true, code: DISK_IS_FULL },
  { name: "a failed flush with nothing unflushed before it", behind: false, code: CANNOT_FLUSH },
])("$name leaves the log as it is", ({ behind, code }) => {
  commit(!behind, { line: "a" });
  const salts = logSalts();
  flushes.failed(code);
  commit(true, { line: "b" });
  expect(logSalts()).toBe(salts);
});

test("while somebody reads the old log nothing is written after a flush that failed", () => {
  database.exec("PRAGMA busy_timeout = 0");
  commit(false, { line: "a" });
  const reader = new DatabaseSync(join(directory, "queue.db"), { readOnly: true });
  reader.exec("BEGIN; SELECT * FROM lines");
  commit(false, { line: "b" });
  flushes.failed(CANNOT_FLUSH);
  expect(() => commit(true, { line: "c" })).toThrow("somebody reads it");
  reader.close();
  commit(true, { line: "d" });
  expect(
    database
      .prepare("SELECT line FROM lines")
      .all()
      .map(({ line }) => line),
  ).toEqual(["a", "b", "d"]);
});
