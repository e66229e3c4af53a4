import { describe, expect, test } from "vitest";
import { arrivals } from "./arrivals.ts";

const options = { perSecond: 500, seconds: 20, seed: 7 };

describe("arrivals()", () => {
  test("are as many as the rate says, within what chance allows", () => {
    expect(arrivals(options).length).toBeGreaterThan(9700);
    expect(arrivals(options).length).toBeLessThan(10_300);
  });

  test("are ascending and end with the time", () => {
    const times = arrivals(options);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times.at(-1)).toBeLessThanOrEqual(20_000);
  });

  test("are the same for the same seed and others for another", () => {
    expect(arrivals(options)).toEqual(arrivals(options));
    expect(arrivals(options)).not.toEqual(arrivals({ ...options, seed: 8 }));
  });

  test("come in bunches, not evenly", () => {
    const times = arrivals(options);
    const distances = times.slice(1).map((time, n) => time - times[n]!);
    expect(distances.filter((distance) => distance < 0.25).length).toBeGreaterThan(1000);
    expect(Math.max(...distances)).toBeGreaterThan(8);
  });
});
