import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createPressure } from "./back-pressure.ts";

const levels = {
  submissionQueue: { medium: 1000, high: 2000 },
  diskUsedPercent: { medium: 80, high: 99 },
  memoryUsedPercent: { medium: 88, high: 94 },
};
const calm = { submissionQueue: 0, diskUsedPercent: 0, memoryUsedPercent: 0 };

describe("createPressure()", () => {
  test.each([
    { name: "below every threshold it is normal", queue: [999], want: ["normal"] },
    { name: "a level begins at its threshold", queue: [1000, 2000], want: ["medium", "high"] },
    { name: "it may jump to high", queue: [2000], want: ["high"] },
    {
      name: "a level is kept down to a tenth below",
      queue: [1000, 901, 900],
      want: ["medium", "medium", "normal"],
    },
    {
      name: "high falls to medium a tenth below high",
      queue: [2000, 1801, 1800],
      want: ["high", "high", "medium"],
    },
    { name: "high may fall to normal", queue: [2000, 100], want: ["high", "normal"] },
    {
      name: "a falling queue keeps medium on its way from high",
      queue: [2000, 950, 900],
      want: ["high", "medium", "normal"],
    },
    { name: "what is not a number changes nothing", queue: [1000, Number.NaN], want: ["medium", "medium"] },
  ])("$name", ({ queue, want }) => {
    const pressure = createPressure(levels);
    const seen = queue.map((submissionQueue) => pressure.observe({ ...calm, submissionQueue }).level);
    expect(seen).toEqual(want);
  });

  test("the worst resource decides, and those at its level are named", () => {
    const pressure = createPressure(levels);
    expect(pressure.observe({ submissionQueue: 1500, diskUsedPercent: 99.5, memoryUsedPercent: 95 })).toEqual(
      {
        level: "high",
        because: "diskUsedPercent 99.5, memoryUsedPercent 95",
      },
    );
    expect(pressure.observe(calm)).toEqual({ level: "normal", because: "" });
  });

  test("a value that hovers at a threshold changes the level once", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 901, max: 1999 }), { minLength: 1 }), (values) => {
        const pressure = createPressure(levels);
        pressure.observe({ ...calm, submissionQueue: 1000 });
        return values.every(
          (submissionQueue) => pressure.observe({ ...calm, submissionQueue }).level === "medium",
        );
      }),
    );
  });
});
