import { expect, test } from "vitest";
import { eventually } from "../test/helpers/eventually.ts";
import { createPumps, type Rest } from "./pumps.ts";

/** Rounds that end when told: each call of `end` ends the one that runs. */
function rig() {
  const rounds: string[] = [];
  const faults: string[] = [];
  const ends: { resolve(rest: Rest): void; reject(cause: unknown): void }[] = [];
  const pumps = createPumps({
    round: (key) => {
      rounds.push(key);
      return new Promise((resolve, reject) => ends.push({ resolve, reject }));
    },
    onFault: (key, cause) => void faults.push(`${key}: ${cause}`),
  });
  return { pumps, rounds, faults, ends };
}

test("a wake while a round is under way is not lost, though the round finds nothing", async () => {
  const { pumps, rounds, ends } = rig();
  pumps.wake("a");
  pumps.wake("a");
  ends[0]?.resolve("nothing");
  await eventually(() => rounds.length === 2);
  ends[1]?.resolve("nothing");
  await eventually(() => pumps.running() === 0);
  expect(rounds).toEqual(["a", "a"]);
});

test("rounds go on for as long as there may be more, each key by itself", async () => {
  const { pumps, rounds, ends } = rig();
  pumps.wake("a");
  pumps.wake("b");
  ends[0]?.resolve("more");
  await eventually(() => rounds.length === 3);
  expect(rounds).toEqual(["a", "b", "a"]);
  expect(pumps.running()).toBe(2);
});

test("room wakes a round only where the last one lacked it, or where one is under way", async () => {
  const { pumps, rounds, ends } = rig();
  pumps.wakeStarved("a");
  pumps.wake("a");
  pumps.wakeStarved("a");
  expect(rounds).toEqual(["a"]);
  ends[0]?.resolve("nothing");
  await eventually(() => rounds.length === 2);
  ends[1]?.resolve("starved");
  await eventually(() => pumps.running() === 0);
  pumps.wakeStarved("b");
  pumps.wakeStarved("a");
  expect(rounds).toEqual(["a", "a", "a"]);
  ends[2]?.resolve("nothing");
  await eventually(() => pumps.running() === 0);
  pumps.wakeStarved("a");
  expect(rounds).toHaveLength(3);
});

test.each(["wake", "wakeStarved"] as const)("after a fault %s begins again", async (wake) => {
  const { pumps, rounds, faults, ends } = rig();
  pumps.wake("a");
  ends[0]?.reject("disk");
  await eventually(() => pumps.running() === 0);
  pumps[wake]("a");
  expect(faults).toEqual(["a: disk"]);
  expect(rounds).toEqual(["a", "a"]);
});
