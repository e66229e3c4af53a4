import { expect, test } from "vitest";
import { eventually } from "../test/helpers/eventually.ts";
import { createPumps } from "./pumps.ts";

/** Rounds that end when told: each call of `end` ends the one that runs. */
function rig() {
  const rounds: string[] = [];
  const faults: string[] = [];
  const ends: { resolve(more: boolean): void; reject(cause: unknown): void }[] = [];
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
  ends[0]?.resolve(false);
  await eventually(() => rounds.length === 2);
  ends[1]?.resolve(false);
  await eventually(() => pumps.running() === 0);
  expect(rounds).toEqual(["a", "a"]);
});

test("rounds go on for as long as there may be more, each key by itself", async () => {
  const { pumps, rounds, ends } = rig();
  pumps.wake("a");
  pumps.wake("b");
  ends[0]?.resolve(true);
  await eventually(() => rounds.length === 3);
  expect(rounds).toEqual(["a", "b", "a"]);
  expect(pumps.running()).toBe(2);
});

test("after a fault the next wake begins again", async () => {
  const { pumps, rounds, faults, ends } = rig();
  pumps.wake("a");
  ends[0]?.reject("disk");
  await eventually(() => pumps.running() === 0);
  pumps.wake("a");
  expect(faults).toEqual(["a: disk"]);
  expect(rounds).toEqual(["a", "a"]);
});
