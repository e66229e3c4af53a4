import { expect, test } from "vitest";
import { ringAt } from "./alarm.ts";

test("rings once for each time, in order, and never early", async () => {
  const times = [0, 3.25, 3.25, 7.5, 40];
  const rung: { due: number; at: number }[] = [];
  await ringAt(times, (due) => rung.push({ due, at: performance.now() }));
  const start = rung[0]?.due ?? 0;
  expect(rung.map(({ due }) => due - start)).toEqual(times.map((time) => expect.closeTo(time)));
  for (const { due, at } of rung) expect(at).toBeGreaterThanOrEqual(due);
});
