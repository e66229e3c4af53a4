import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { segmentBodyName } from "./body-name.ts";
import { type Segment, SegmentLedger } from "./segment-ledger.ts";

const DEAD = 10_000;
const FULL = 4000;

/** Writes, lets go and moves as segments.ts does; the sizes of what lives. */
function play(steps: readonly { size: number; drop: number }[]) {
  const ledger = new SegmentLedger(DEAD);
  const living = new Map<string, number>();
  let open: Segment | undefined;
  const tidy = (segment: Segment) => {
    if (segment.sealed && segment.living.size === 0) ledger.forget(segment);
    for (let worst = ledger.wasteful(); worst !== undefined; worst = ledger.wasteful()) {
      for (const name of worst.living) living.delete(name); // In files of their own from now on.
      ledger.forget(worst);
    }
  };
  for (const { size, drop } of steps) {
    open ??= ledger.open(randomUUID());
    const name = segmentBodyName(open.id, { offset: open.length, size, checksum: 0 });
    ledger.add(open, { name, size });
    ledger.grow(open, open.length + size);
    living.set(name, size);
    if (open.length >= FULL) {
      open.sealed = true;
      tidy(open);
      open = undefined;
    }
    const victim = [...living.keys()][drop % Math.max(1, living.size)];
    const segment = drop % 3 === 0 || victim === undefined ? undefined : ledger.drop(victim);
    if (segment === undefined) continue;
    living.delete(victim ?? "");
    tidy(segment);
  }
  return { ledger, living: [...living.values()].reduce((sum, size) => sum + size, 0) };
}

describe("the ledger", () => {
  test("counts what lives, and bounds the dead by the living", () => {
    const step = fc.record({ size: fc.integer({ min: 1, max: 1500 }), drop: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const { ledger, living } = play(steps);
        expect(ledger.length() - ledger.dead()).toBe(living);
        // The open segment may be dead too, and is bounded by its own size.
        expect(ledger.dead()).toBeLessThanOrEqual(Math.max(DEAD, living) + FULL + 1500);
      }),
    );
  });

  test("a body is let go once, and one that was never there not at all", () => {
    const ledger = new SegmentLedger();
    const segment = ledger.open(randomUUID());
    const name = segmentBodyName(segment.id, { offset: 0, size: 9, checksum: 1 });
    ledger.add(segment, { name, size: 9 });
    ledger.grow(segment, 9);
    expect(ledger.drop("../queue.db")).toBeUndefined();
    expect(ledger.drop(segmentBodyName(segment.id, { offset: 9, size: 9, checksum: 1 }))).toBeUndefined();
    expect(ledger.drop(name)).toBe(segment);
    expect(ledger.drop(name)).toBeUndefined();
    ledger.forget(segment);
    ledger.forget(segment);
    expect([ledger.length(), ledger.dead()]).toEqual([0, 0]);
  });
});
