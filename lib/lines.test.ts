import { describe, expect, test } from "vitest";
import { Lines } from "./lines.ts";

describe("Lines", () => {
  test("what is taken is what was added, in order, as UTF-8", () => {
    const lines = new Lines();
    const added = Array.from({ length: 5000 }, (_, n) => `${n} Grüße \u{1f4e8} ${"x".repeat(n % 97)}\n`);
    for (const line of added) lines.add(line);
    expect(lines.length).toBeGreaterThanOrEqual(added.join("").length);
    expect(lines.take().toString()).toBe(added.join(""));
    expect(lines.length).toBe(0);
    expect(lines.take()).toHaveLength(0);
  });

  test("what is added while the taken is in use does not touch it", () => {
    const lines = new Lines();
    let before: Buffer | undefined;
    for (let round = 0; round < 5; round += 1) {
      const line = `${String(round).repeat(40_000)}\n`;
      lines.add(line);
      const taken = lines.take();
      lines.add("between\n");
      expect(taken.toString()).toBe(round === 0 ? line : `between\n${line}`);
      if (before !== undefined) expect(taken.buffer).not.toBe(before.buffer);
      before = taken;
      lines.giveBack(taken);
    }
  });
});
