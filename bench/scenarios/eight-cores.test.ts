import { describe, expect, test } from "vitest";
import { estimateFor } from "./eight-cores.ts";

const one = { cpu: 400e-6, busiestThread: 250e-6 };

describe("estimateFor()", () => {
  test("one worker is bound by its main thread", () => {
    expect(estimateFor(8, 1, { one, two: one })).toEqual({
      workers: 1,
      perSecond: 4000,
      boundBy: "its main thread",
    });
  });

  test("as many workers as cores are bound by the cores", () => {
    expect(estimateFor(8, 8, { one, two: one })).toEqual({
      workers: 8,
      perSecond: 20_000,
      boundBy: "the cores",
    });
  });

  test("what a message costs more with two workers it costs more with eight", () => {
    const two = { cpu: 500e-6, busiestThread: 150e-6 };
    expect(estimateFor(8, 8, { one, two }).perSecond).toBeCloseTo(16_000);
  });

  test("two workers that cost less than one promise nothing", () => {
    const two = { cpu: 300e-6, busiestThread: 100e-6 };
    expect(estimateFor(8, 8, { one, two }).perSecond).toBeCloseTo(20_000);
  });
});
