import { expect, test } from "vitest";
import { queueItem, T0 } from "../../test/helpers/queue-items.ts";
import { Handout } from "./handout.ts";

test("a dead next hop does not take the memory of one that delivers, however many groups are empty", () => {
  const handout = new Handout(100_000);
  const offer = (to: string, octets: number) =>
    handout.offer(queueItem({ to, body: { kind: "inline", bytes: Buffer.alloc(octets), size: octets } }), T0);
  const alive = offer("alive.example", 5000);
  for (let n = 0; n < 30; n += 1) {
    const group = offer(`once-${n}.example`, 10);
    if (group === undefined) continue;
    handout.takeReady(group, 1);
    handout.tidy(group);
  }
  let dead = offer("dead.example", 10_000);
  for (let n = 0; n < 20 && dead?.inStore === undefined; n += 1) dead = offer("dead.example", 10_000);
  expect(dead?.inStore).toBe("Normal");
  expect([alive?.inStore, alive?.ready.Normal.size]).toEqual([undefined, 1]);
});
