import { describe, expect, test } from "vitest";
import { createFakeClock } from "../test/helpers/fake-clock.ts";
import { Life } from "./life.ts";
import type { Share } from "./workers/mod.ts";

/** A life whose share does nothing, and what that was told. */
async function quietLife({ flows }: { flows: boolean }) {
  const clock = createFakeClock();
  const told: boolean[] = [];
  const share = {
    startWork: async () => {},
    setDraining: async (draining: boolean) => void told.push(draining),
  } as unknown as Share;
  const life = new Life({ clock, openShare: async () => share });
  if (flows) await life.startWork();
  return { life, clock, told };
}

describe("Life.drain()", () => {
  test("a pod where mail flows is not ready at once, and takes mail until nobody sends it any", async () => {
    const { life, clock, told } = await quietLife({ flows: true });
    const drained = life.drain(true);
    expect([life.takesMail, life.isDraining]).toEqual([false, false]);
    await clock.advance(7999);
    await life.drain(true);
    expect(told).toEqual([]);
    await clock.advance(1);
    await drained;
    expect([life.isDraining, told]).toEqual([true, [true]]);
  });

  test("one that is not open yet drains from the start", async () => {
    const { life, told } = await quietLife({ flows: false });
    await life.drain(true);
    expect([life.isDraining, told]).toEqual([true, [true]]);
  });

  test("taken back before it began, nothing was refused", async () => {
    const { life, clock, told } = await quietLife({ flows: true });
    const drained = life.drain(true);
    await life.drain(false);
    await drained;
    await clock.advance(10_000);
    expect([life.takesMail, told]).toEqual([true, [false]]);
  });
});
