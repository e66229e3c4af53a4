import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { nextHop } from "../mail/next-hop.ts";
import { type DispatchDeps, startDispatcher } from "./dispatch.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a next hop that rests for less than it rested before is asked again when that is over", async () => {
  const hop = nextHop("default/internet", "a.example", false);
  const sendConnectors = new Map([[hop.connector, { routing: { type: "MX" } }]]);
  let due: (kind: string, key: string) => void = () => {};
  let restMs = 30 * 60_000;
  let asked = 0;
  const deps = {
    pipeline: () => ({ sendConnectors }),
    clock: { now: () => Date.now() },
    queue: {
      onDue(listener: typeof due) {
        due = listener;
      },
    },
    delivery: {
      room: 10,
      reserve() {
        asked += 1;
        return 0;
      },
      askAgainAt: () => Date.now() + restMs,
    },
  } as unknown as DispatchDeps;
  const dispatcher = startDispatcher(deps);
  due("Delivery", hop.key);
  await vi.advanceTimersByTimeAsync(1000);
  restMs = 60_000;
  due("Delivery", hop.key);
  await vi.advanceTimersByTimeAsync(59_000);
  expect(asked).toBe(2);
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toBe(3);
  await dispatcher.stop();
});
