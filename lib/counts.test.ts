import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { createCounts } from "./counts.ts";
import { allocateCounts, createSharedCounts } from "./shared-counts.ts";

describe.each([
  { name: "of one thread", create: () => createCounts() },
  { name: "in shared memory", create: () => createSharedCounts(allocateCounts(4)) },
])("counts $name", ({ create }) => {
  test("give places up to the limit, and again those given back", () => {
    const counts = create();
    expect([counts.take("a", 3), counts.take("a", 3, 5), counts.take("a", 3)]).toEqual([1, 2, 0]);
    counts.give("a", 2);
    expect([counts.taken("a"), counts.take("a", 3, 5), counts.taken("b")]).toEqual([1, 2, 0]);
  });

  test("keep keys apart, whatever order they come and go in", () => {
    const counts = create();
    const model = new Map<string, number>();
    let dice = 7;
    for (let turn = 0; turn < 20_000; turn++) {
      dice = (Math.imul(dice, 1_103_515_245) + 12_345) >>> 0;
      const key = `key ${(dice >>> 8) % 4}`;
      const held = model.get(key) ?? 0;
      if ((dice >>> 16) % 2 === 0) {
        model.set(key, held + counts.take(key, 3));
      } else if (held > 0) {
        counts.give(key);
        model.set(key, held - 1);
      }
      for (const [name, count] of model) expect(counts.taken(name)).toBe(count);
    }
  });

  test("a limit that was lowered takes nothing back", () => {
    const counts = create();
    counts.take("a", 5, 5);
    expect([counts.take("a", 2), counts.taken("a")]).toEqual([0, 5]);
  });
});

test("a full table refuses new keys and serves those it holds", () => {
  const counts = createSharedCounts(allocateCounts(4));
  const got = Array.from({ length: 8 }, (_, n) => counts.take(`key ${n}`, 2));
  expect(got.filter((count) => count === 1).length).toBe(4);
  expect(counts.take("key 0", 2)).toBe(1);
  counts.give("key 1");
  expect(counts.take("key 7", 2)).toBe(1);
});

test("threads that take side by side never hold more than the limit, and all they give is there again", async () => {
  const memory = allocateCounts();
  const code = `
    import { workerData, parentPort } from "node:worker_threads";
    const { createSharedCounts } = await import(workerData.module);
    const counts = createSharedCounts(workerData.memory);
    let worst = 0;
    for (let turn = 0; turn < 50000; turn++) {
      const key = "key " + (turn % 3);
      const got = counts.take(key, 5, 2);
      worst = Math.max(worst, counts.taken(key));
      counts.give(key, got);
    }
    parentPort.postMessage(worst);`;
  const module = new URL("./shared-counts.ts", import.meta.url).href;
  const workers = Array.from(
    { length: 3 },
    () =>
      new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
        workerData: { memory, module },
      }),
  );
  const worst = await Promise.all(workers.map(async (worker) => (await once(worker, "message"))[0]));
  await Promise.all(workers.map((worker) => worker.terminate()));
  expect(Math.max(...worst)).toBeLessThanOrEqual(5);
  const counts = createSharedCounts(memory);
  expect([0, 1, 2].map((n) => counts.taken(`key ${n}`))).toEqual([0, 0, 0]);
});
