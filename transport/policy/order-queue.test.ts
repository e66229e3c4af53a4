import fc from "fast-check";
import { expect, test } from "vitest";
import { OrderQueue } from "./order-queue.ts";
import { NO_PLACE } from "./rules-in-force.ts";

const step = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constant("next" as const));

test("gives the lowest place that was added and not passed, each once", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const queue = new OrderQueue(Int32Array.from({ length: 41 }, (_, id) => id));
      const pending = new Set<number>();
      let last = -1;
      for (const one of steps) {
        if (one !== "next") {
          queue.add(one);
          if (one > last) pending.add(one);
          continue;
        }
        const lowest = [...pending].sort((a, b) => a - b)[0];
        expect(queue.next()).toBe(lowest);
        last = lowest ?? last;
        pending.delete(last);
      }
    }),
  );
});

test("a rule of another rule set, or not in force, is left out", () => {
  const queue = new OrderQueue(Int32Array.of(7, NO_PLACE, 3));
  for (const id of [0, 1, 2, 3, 99]) queue.add(id);
  expect([queue.next(), queue.next(), queue.next()]).toEqual([3, 7, undefined]);
});
