import { setImmediate as turn } from "node:timers/promises";
import pino from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { createFakeClock, type FakeClock } from "../../test/helpers/fake-clock.ts";
import {
  createWorkQueue,
  type WorkQueue,
  type WorkQueueOptions,
  type WorkResult,
  type WorkRun,
} from "./work-queue.ts";

const log = pino({ level: "silent" });
const queues: WorkQueue[] = [];
afterEach(async () => {
  await Promise.all(queues.splice(0).map((queue) => queue.stop()));
});

/** Moves on when what was added has begun. */
function patientClock(): FakeClock {
  const clock = createFakeClock(0);
  return { ...clock, advance: (ms) => turn().then(() => clock.advance(ms)) };
}

/** A queue whose work takes `tookMs`, as scripted by key. */
function scene(options: Partial<WorkQueueOptions> & { readonly tookMs?: number } = {}) {
  const clock = patientClock();
  const runs: string[] = [];
  const told: WorkRun[] = [];
  const failing = new Set<string>();
  const results = new Map<string, WorkResult>();
  const running = new Set<string>();
  let most = 0;
  const queue = createWorkQueue({
    clock,
    log,
    onRun: (run) => void told.push(run),
    async process(key) {
      expect(running).not.toContain(key);
      running.add(key);
      most = Math.max(most, running.size);
      runs.push(`${key}@${clock.monotonic()}`);
      if (options.tookMs !== undefined) await clock.sleep(options.tookMs);
      running.delete(key);
      if (failing.has(key)) throw new Error("refused");
      return results.get(key);
    },
    ...options,
  });
  if (options.tookMs === undefined) queues.push(queue);
  return { clock, queue, runs, told, failing, results, most: () => most };
}

describe("createWorkQueue()", () => {
  test("a key that is added many times runs once", async () => {
    const { queue, runs } = scene();
    for (let n = 0; n < 100; n += 1) queue.add("a");
    await queue.idle();
    expect(runs).toEqual(["a@0"]);
  });

  test("a key that is added while it runs runs once more, and never beside itself", async () => {
    const { queue, runs, clock } = scene({ tookMs: 100, concurrency: 4 });
    queue.add("a");
    await clock.advance(10);
    for (let n = 0; n < 5; n += 1) queue.add("a");
    await clock.advance(500);
    expect(runs).toEqual(["a@0", "a@100"]);
  });

  test("as many keys run together as are allowed, in the order of their coming", async () => {
    const { queue, runs, clock, most } = scene({ tookMs: 100, concurrency: 2 });
    for (const key of ["a", "b", "c", "d"]) queue.add(key);
    await clock.advance(50);
    expect(queue.depth).toBe(2);
    await clock.advance(500);
    expect(runs).toEqual(["a@0", "b@0", "c@100", "d@100"]);
    expect(most()).toBe(2);
  });

  test("a key that is added again and again lets others have their turn", async () => {
    const { queue, runs, clock } = scene({ tookMs: 100 });
    queue.add("busy");
    for (const key of ["a", "b"]) queue.add(key);
    await clock.advance(10);
    queue.add("busy");
    await clock.advance(1000);
    expect(runs).toEqual(["busy@0", "a@100", "b@200", "busy@300"]);
  });

  test("an add waits for the debounce after the last one", async () => {
    const { queue, runs, clock } = scene({ debounceMs: 50, maxDebounceMs: 500 });
    queue.add("a");
    await clock.advance(40);
    queue.add("a");
    await clock.advance(40);
    expect(runs).toEqual([]);
    await clock.advance(10);
    expect(runs).toEqual(["a@90"]);
  });

  test("but never longer than the longest debounce after the first", async () => {
    const { queue, runs, clock } = scene({ debounceMs: 50, maxDebounceMs: 200 });
    for (let n = 0; n < 10; n += 1) {
      queue.add("a");
      await clock.advance(40);
    }
    expect(runs).toEqual(["a@200", "a@400"]);
  });

  test("one key's debounce holds up no other key", async () => {
    const { queue, runs, clock } = scene({ debounceMs: 50, maxDebounceMs: 500 });
    queue.add("a");
    await clock.advance(30);
    queue.add("b");
    await clock.advance(100);
    expect(runs).toEqual(["a@50", "b@80"]);
  });

  test("what fails is tried again, each time after twice the wait, up to the longest", async () => {
    const { queue, runs, clock, failing, told } = scene({ backoff: { firstMs: 10, maxMs: 50 } });
    failing.add("a");
    queue.add("a");
    await clock.advance(200);
    expect(runs).toEqual(["a@0", "a@10", "a@30", "a@70", "a@120", "a@170"]);
    expect(told.every(({ failed }) => failed)).toBe(true);
  });

  test("success forgets the failures", async () => {
    const { queue, runs, clock, failing } = scene({ backoff: { firstMs: 10, maxMs: 1000 } });
    failing.add("a");
    queue.add("a");
    await clock.advance(35);
    failing.clear();
    await clock.advance(100);
    failing.add("a");
    queue.add("a");
    await clock.advance(15);
    expect(runs).toEqual(["a@0", "a@10", "a@30", "a@70", "a@135", "a@145"]);
  });

  test("a failing key's wait holds up no other, and an add ends it", async () => {
    const { queue, runs, clock, failing } = scene({ backoff: { firstMs: 1000, maxMs: 1000 } });
    failing.add("a");
    queue.add("a");
    queue.add("b");
    await clock.advance(100);
    queue.add("a");
    await clock.advance(899);
    expect(runs).toEqual(["a@0", "b@0", "a@100"]);
  });

  test("a thrown error that comes at once is a failure like any other", async () => {
    let runs = 0;
    const { queue, clock } = scene({
      process() {
        runs += 1;
        throw new Error("at once");
      },
    });
    queue.add("a");
    await clock.advance(6);
    expect(runs).toBe(2);
  });

  test("a run says when to look again, and an earlier run takes the place of that", async () => {
    const { queue, runs, clock, results } = scene();
    results.set("a", { againAfterMs: 100 });
    queue.add("a");
    await clock.advance(250);
    expect(runs).toEqual(["a@0", "a@100", "a@200"]);
    queue.add("a");
    await clock.advance(99);
    expect(runs).toEqual(["a@0", "a@100", "a@200", "a@250"]);
    results.clear();
    await clock.advance(500);
    expect(runs.at(-1)).toBe("a@350");
  });

  test("of two times for one key the earlier counts", async () => {
    const { queue, runs, clock } = scene();
    queue.addAfter("a", 100);
    queue.addAfter("a", 50);
    queue.addAfter("a", 200);
    await clock.advance(500);
    expect(runs).toEqual(["a@50"]);
  });

  test("urgent keys go first, but not all the time", async () => {
    const { queue, runs, clock } = scene({ tookMs: 1 });
    for (let n = 0; n < 100; n += 1) queue.add(`common-${n}`);
    for (let n = 0; n < 8; n += 1) queue.add(`urgent-${n}`, { urgent: true });
    await clock.advance(1000);
    const order = runs.map((run) => run.split("@")[0]);
    expect(order.slice(0, 4)).toEqual(["urgent-0", "urgent-1", "urgent-2", "common-0"]);
    expect(order.slice(4, 8)).toEqual(["urgent-3", "urgent-4", "urgent-5", "common-1"]);
    expect(new Set(order).size).toBe(108);
  });

  test("a key that waits for its turn becomes urgent", async () => {
    const { queue, runs, clock } = scene({ tookMs: 1 });
    for (const key of ["a", "b", "c"]) queue.add(key);
    queue.add("c", { urgent: true });
    await clock.advance(1000);
    expect(runs.map((run) => run[0])).toEqual(["c", "a", "b"]);
  });

  test("idle() waits for runs, turns and tries, but not for a time that was set", async () => {
    const { queue, clock, failing } = scene({ tookMs: 10, backoff: { firstMs: 100, maxMs: 100 } });
    queue.addAfter("later", 60_000);
    await queue.idle();
    failing.add("a");
    queue.add("a");
    let idle = false;
    const waiting = queue.idle().then(() => {
      idle = true;
    });
    await clock.advance(50);
    expect(idle).toBe(false);
    failing.clear();
    await clock.advance(100);
    await waiting;
    expect(idle).toBe(true);
  });

  test("stop() waits for what runs and begins nothing more", async () => {
    const { queue, clock, runs } = scene({ tookMs: 100 });
    for (const key of ["a", "b"]) queue.add(key);
    queue.addAfter("c", 10);
    await clock.advance(50);
    let stopped = false;
    const stopping = queue.stop().then(() => {
      stopped = true;
    });
    await clock.advance(40);
    expect(stopped).toBe(false);
    queue.add("d");
    await clock.advance(1000);
    await stopping;
    expect(runs).toEqual(["a@0"]);
    expect(clock.sleepers()).toBe(0);
  });

  test("each run says how long the key waited and how long it took", async () => {
    const { queue, clock, told } = scene({ tookMs: 30 });
    queue.add("a");
    queue.add("b");
    await clock.advance(100);
    expect(told).toEqual([
      { key: "a", waitedMs: 0, tookMs: 30, failed: false },
      { key: "b", waitedMs: 30, tookMs: 30, failed: false },
    ]);
  });

  test("a wall clock that is set back holds nothing up", async () => {
    const clock = createFakeClock(0);
    let wall = 10_000_000;
    const runs: string[] = [];
    const queue = createWorkQueue({
      clock: { ...clock, now: () => wall },
      log,
      debounceMs: 100,
      process: async (key) => void runs.push(key),
    });
    queue.add("a");
    wall = 0;
    await clock.advance(100);
    expect(runs).toEqual(["a"]);
    await queue.stop();
  });

  test("10,000 keys with failures among them all run, each as often as it must", async () => {
    const clock = createFakeClock(0);
    const tries = new Map<string, number>();
    const queue = createWorkQueue({
      clock,
      log,
      concurrency: 8,
      async process(key) {
        tries.set(key, (tries.get(key) ?? 0) + 1);
        await turn();
        if (Number(key) % 10 === 0 && tries.get(key) === 1) throw new Error("once");
      },
    });
    for (let n = 0; n < 10_000; n += 1) queue.add(String(n));
    const done = queue.idle();
    let isDone = false;
    void done.then(() => {
      isDone = true;
    });
    while (!isDone) await clock.advance(5);
    expect([...tries.values()].filter((count) => count === 2)).toHaveLength(1000);
    expect([...tries.values()].filter((count) => count === 1)).toHaveLength(9000);
    await queue.stop();
  });
});
