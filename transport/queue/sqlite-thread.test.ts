import { mkdtempSync, rmSync } from "node:fs";
import { BlockList } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { packBatch } from "./batch.ts";
import { SqliteThread } from "./sqlite-thread.ts";

describe("the queue's thread", () => {
  let directory: string;
  let thread: SqliteThread;
  let worker: Worker;
  let ends: Error[];

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "thread-"));
    ends = [];
    const made = new Promise<Worker>((resolve) => process.once("worker", resolve));
    thread = new SqliteThread(join(directory, "queue.db"), (error) => ends.push(error));
    worker = await made;
    await thread.ask("open");
  });

  afterEach(async () => {
    await thread.terminate();
    rmSync(directory, { recursive: true });
  });

  const commit = () => thread.ask("commit", [packBatch([], { flush: true })]);

  test("goes on after a question that cannot be sent", async () => {
    const sent = await Promise.allSettled([thread.ask("get", [() => {}]), thread.ask("bodyFiles")]);
    expect(sent.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  });

  test("answers batches that share a transaction and what is asked between them in order", async () => {
    const asked = [commit(), thread.ask("bodyFiles"), commit(), commit(), thread.ask("bodyFiles")];
    const written = { faults: [], unnamed: [], flushed: true };
    expect(await Promise.all(asked)).toEqual([written, [], written, written, []]);
  });

  test("refuses each of the batches that share a transaction which cannot begin", async () => {
    const asked = [thread.ask("close"), commit(), commit(), commit(), thread.ask("open"), commit()];
    const settled = await Promise.allSettled(asked);
    const refused = settled.map(({ status }) => status === "rejected");
    expect(refused).toEqual([false, true, true, true, false, false]);
  });

  test("ends when a question cannot be read: no answer goes to another question", async () => {
    const asked = [thread.ask("get", [unreadable()]), thread.ask("bodyFiles"), thread.ask("bodyFiles")];
    const settled = await Promise.allSettled(asked);
    expect(settled.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(ends).toHaveLength(1);
  });

  test("ends when a question behind others cannot be read", async () => {
    const asked = [commit(), commit(), thread.ask("get", [unreadable()]), thread.ask("bodyFiles"), commit()];
    const settled = await Promise.allSettled(asked);
    expect(settled.slice(2).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(ends).toHaveLength(1);
  });

  test("ends when an answer cannot be read", async () => {
    const asked = thread.ask("bodyFiles");
    worker.emit("messageerror", new Error("unreadable"));
    await expect(asked).rejects.toThrow("The queue's thread failed: Error: unreadable");
    expect(ends).toHaveLength(1);
    await expect(thread.ask("bodyFiles")).rejects.toThrow("The queue's thread failed");
  });
});

/** It can be sent, and fails where it arrives. */
function unreadable(): BlockList {
  const list = new BlockList();
  const proto = Object.getPrototypeOf(list) as Record<symbol, () => object>;
  const clone = Object.getOwnPropertySymbols(proto).find((symbol) => symbol.description?.includes("clone"));
  if (clone === undefined) throw new Error("A BlockList cannot be sent any more");
  const whole = proto[clone]?.call(list);
  Object.defineProperty(list, clone, { value: () => ({ ...whole, deserializeInfo: "none:None" }) });
  return list;
}
