import fc from "fast-check";
import { expect, test } from "vitest";
import { createIsoTime } from "./iso-time.ts";

test("any moment after any other is written as a Date writes it", () => {
  const near = fc.nat(5_000).map((ms) => Date.UTC(2026, 0) - 2_000 + ms);
  const any = fc.integer({ min: -1e12, max: 8e12 });
  fc.assert(
    fc.property(fc.array(fc.oneof(near, any), { minLength: 1 }), (moments) => {
      const format = createIsoTime();
      expect(moments.map(format)).toEqual(moments.map((ms) => new Date(ms).toISOString()));
    }),
  );
});
