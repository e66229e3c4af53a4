import { describe, expect, test } from "vitest";
import { createFakeClock } from "../test/helpers/fake-clock.ts";
import type { Dispatcher } from "./dispatch.ts";
import { Life } from "./life.ts";
import type { Rooms } from "./rooms.ts";

/** A life with nothing in its rooms, and what its SMTP service was told. */
function quietLife({ flows }: { flows: boolean }) {
  const clock = createFakeClock();
  const told: boolean[] = [];
  const rooms = {
    smtp: { setDraining: (draining: boolean) => void told.push(draining) },
    queue: { retry: async () => {}, summary: async () => [] },
    log: { info() {}, warn() {} },
  } as unknown as Rooms;
  const life = new Life({ clock, openRooms: async () => rooms });
  if (flows) life.dispatcher = {} as Dispatcher;
  return { life, clock, told };
}

describe("Life.drain()", () => {
  test("a pod where mail flows is not ready at once, and takes mail until nobody sends it any", async () => {
    const { life, clock, told } = quietLife({ flows: true });
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
    const { life, told } = quietLife({ flows: false });
    await life.drain(true);
    expect([life.isDraining, told]).toEqual([true, [true]]);
  });

  test("taken back before it began, nothing was refused", async () => {
    const { life, clock, told } = quietLife({ flows: true });
    const drained = life.drain(true);
    await life.drain(false);
    await drained;
    await clock.advance(10_000);
    expect([life.takesMail, told]).toEqual([true, [false]]);
  });
});
