import { describe, expect, test } from "vitest";
import { createSettlements } from "./settlements.ts";

const never = () => Promise.reject(new Error("nobody should ask"));

describe("settlements", () => {
  test("are full while 200 are being written, and not after", async () => {
    const settlements = createSettlements();
    const disk = Promise.withResolvers<void>();
    const begun = Array.from({ length: 199 }, () => settlements.run(() => disk.promise, never));
    expect(settlements.isFull()).toBe(false);
    begun.push(settlements.run(() => disk.promise, never));
    expect(settlements.isFull()).toBe(true);
    disk.resolve();
    await Promise.all(begun);
    expect(settlements.isFull()).toBe(false);
    expect(settlements.running()).toBe(0);
  });

  test("overrun the disk when 200 could not be written, until their messages are released", async () => {
    const settlements = createSettlements();
    const release = Promise.withResolvers<void>();
    const refuse = () => Promise.reject(new Error("full"));
    const causes: unknown[] = [];
    for (let n = 0; n < 200; n++) {
      expect(settlements.isOverrun()).toBe(false);
      await settlements.run(refuse, (cause) => {
        causes.push(cause);
        return release.promise;
      });
    }
    expect(causes).toHaveLength(200);
    expect(settlements.running()).toBe(0);
    expect(settlements.isOverrun()).toBe(true);
    release.resolve();
    await expect.poll(() => settlements.isOverrun()).toBe(false);
  });

  test("one that throws at once is a fault like any other", async () => {
    const settlements = createSettlements();
    const causes: unknown[] = [];
    const broken = () => {
      throw new Error("broken");
    };
    await settlements.run(broken, async (cause) => void causes.push(String(cause)));
    expect(causes).toEqual(["Error: broken"]);
  });
});
