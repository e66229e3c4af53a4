import { once } from "node:events";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRates } from "./rates.ts";
import { allocateRates, createSharedRates } from "./shared-rates.ts";

describe.each([
  { name: "of one thread", create: (keys?: number) => createRates(keys) },
  { name: "in shared memory", create: (keys?: number) => createSharedRates(allocateRates(keys)) },
])("rates $name", ({ create }) => {
  test("within a minute the limit is exact", () => {
    const rate = create();
    const answers = Array.from({ length: 7 }, (_, i) => rate.admit("k", 5, 60_000 + i));
    expect(answers).toEqual([true, true, true, true, true, false, false]);
  });

  test("the turn of the minute does not double the limit", () => {
    const rate = create();
    for (let i = 0; i < 10; i++) rate.admit("k", 10, 119_000);
    expect(rate.admit("k", 10, 120_000)).toBe(false);
    expect(rate.admit("k", 10, 126_100)).toBe(true);
    expect(rate.admit("k", 10, 126_200)).toBe(false);
  });

  test("after two quiet minutes everything is forgotten", () => {
    const rate = create();
    rate.admit("k", 1, 0);
    expect(rate.admit("k", 1, 30_000)).toBe(false);
    expect(rate.admit("k", 1, 120_000)).toBe(true);
  });

  test("a clock set back is not a reason to fail", () => {
    const rate = create();
    rate.admit("k", 1, 600_000);
    expect(rate.admit("k", 1, 0)).toBe(true);
  });

  test("more keys than it may hold push out those longest unused", () => {
    const rate = create(4);
    for (const key of ["a", "b", "a", "c", "a", "d", "a", "e", "a"]) rate.admit(key, 1, 0);
    expect(rate.size).toBeLessThanOrEqual(4);
    expect(rate.admit("a", 1, 0)).toBe(false);
    expect(rate.admit("b", 1, 0)).toBe(true);
  });

  test("a million keys stay a hundred thousand at most", () => {
    const rate = create();
    for (let i = 0; i < 1_000_000; i++) rate.admit(`k${i}`, 1, 0);
    expect(rate.size).toBeLessThanOrEqual(100_000);
  });

  test("never more than twice the limit in any minute, and never more than the limit in a whole one", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 180_000 }), { maxLength: 200 }), (times) => {
        const rate = create();
        const admitted = times.toSorted((a, b) => a - b).filter((time) => rate.admit("k", 5, time));
        for (const start of [0, 60_000, 120_000]) {
          expect(
            admitted.filter((time) => time >= start && time < start + 60_000).length,
          ).toBeLessThanOrEqual(5);
        }
        for (const start of admitted) {
          expect(admitted.filter((time) => time >= start && time < start + 60_000).length).toBeLessThan(10);
        }
      }),
    );
  });
});

test("in shared memory the key longest unused is the one forgotten", () => {
  const rates = createSharedRates(allocateRates(3));
  for (const key of ["a", "b", "c", "a", "b"]) rates.admit(key, 2, 0);
  rates.admit("d", 1, 0);
  expect(["b", "a", "d", "c"].map((key) => rates.admit(key, 2, 0))).toEqual([false, false, true, true]);
  expect(rates.size).toBe(3);
});

test("in shared memory each key is counted as a table of one thread counts it", () => {
  const event = fc.record({ key: fc.integer({ min: 0, max: 20 }), at: fc.integer({ min: 0, max: 200_000 }) });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 300 }), (events) => {
      const [shared, single] = [createSharedRates(allocateRates(64)), createRates(1000)];
      for (const { key, at } of events) {
        expect(shared.admit(`k${key}`, 3, at)).toBe(single.admit(`k${key}`, 3, at));
      }
    }),
  );
});

test("threads that count side by side admit exactly the limit", async () => {
  const memory = allocateRates(8);
  const code = `
    import { workerData, parentPort } from "node:worker_threads";
    const { createSharedRates } = await import(workerData.module);
    const rates = createSharedRates(workerData.memory);
    let admitted = 0;
    for (let turn = 0; turn < 30000; turn++) if (rates.admit("key " + (turn % 3), 10000, 60000)) admitted++;
    parentPort.postMessage(admitted);`;
  const module = new URL("./shared-rates.ts", import.meta.url).href;
  const workers = Array.from(
    { length: 3 },
    () =>
      new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
        workerData: { memory, module },
      }),
  );
  const admitted = await Promise.all(workers.map(async (worker) => (await once(worker, "message"))[0]));
  await Promise.all(workers.map((worker) => worker.terminate()));
  expect(admitted.reduce((sum, count) => sum + count, 0)).toBe(30_000);
});
