/** Batches that share a transaction, on a real database. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { queueItem } from "../../test/helpers/queue-items.ts";
import { packBatch, splitResult, unpackBatches } from "./batch.ts";
import { decodeItem, type Row } from "./item-codec.ts";
import { type Engine, openEngine } from "./sqlite-engine.ts";
import type { Change, QueueItem } from "./store.ts";

let directory: string;
let engine: Engine;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "postroom-batch-"));
  engine = openEngine(join(directory, "queue.db"), { readOnly: false });
});

afterEach(() => {
  engine.close();
  rmSync(directory, { recursive: true });
});

const batch = (...changes: readonly Change[]) =>
  packBatch(
    changes.map((change) => ({ change, held: new Map<string, QueueItem>() })),
    { flush: true },
  );

test("every row has the octets of its own batch", () => {
  const texts = ["Ann\r\n", "Bob\r\n", "Cy\r\n"];
  const items = texts.map((body) => queueItem({ body }));
  engine.commit(unpackBatches(items.map((item) => batch({ insert: [item] }))));
  const bodies = items.map(({ message: { id } }) => {
    const { body } = decodeItem(engine.get(id) as Row).message;
    return body.kind === "inline" && Buffer.from(body.bytes).toString("latin1");
  });
  expect(bodies).toEqual(texts);
});

test("each batch is told of its own changes, and a bad one fails alone", () => {
  const good = () => ({ insert: [queueItem()] });
  const batches = [batch(good()), batch(good(), { update: [queueItem()] }, good())];
  const results = splitResult(engine.commit(unpackBatches(batches)), batches);
  expect(results.map(({ faults }) => faults.map((fault) => fault !== null))).toEqual([
    [false],
    [false, true, false],
  ]);
  expect(results.map(({ flushed }) => flushed)).toEqual([false, false]);
});

test("they are flushed where one of them must be, and body files that are let go of are told once", () => {
  const item = queueItem({ body: { kind: "file", name: "one", size: 9 } });
  engine.commit(unpackBatches([batch({ insert: [item] })]));
  const remove = packBatch([{ change: { remove: [item.message.id] }, held: new Map() }], { flush: false });
  const unhurried = packBatch([{ change: { remove: ["nobody"] }, held: new Map() }], { flush: false });
  const batches = [remove, batch({ insert: [queueItem()] }), unhurried];
  const results = splitResult(engine.commit(unpackBatches(batches)), batches);
  expect(results.map(({ flushed }) => flushed)).toEqual([true, true, true]);
  expect(results.flatMap(({ unnamed }) => unnamed)).toEqual(["one"]);
});
