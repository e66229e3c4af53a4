import fc from "fast-check";
import { Counter, Registry } from "prom-client";
import { expect, test } from "vitest";
import { createQuickCounter } from "./quick-counter.ts";

test("says at every scrape what the library's own counter says", async () => {
  const label = fc.constantFrom("", "a", "b", 'quote"d', "line\nbreak");
  const step = fc.oneof(
    fc.constant("scrape" as const),
    fc.record({ verb: label, code: label, by: fc.nat(3) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step), async (steps) => {
      const [quick, plain] = [new Registry(), new Registry()];
      const facts = { name: "replies_total", help: "Replies", labelNames: ["verb", "code"] };
      const counter = createQuickCounter({ ...facts, registers: [quick] });
      const model = new Counter({ ...facts, registers: [plain] });
      for (const one of [...steps, "scrape" as const]) {
        if (one === "scrape") expect(await quick.metrics()).toBe(await plain.metrics());
        else {
          const { by, ...labels } = one;
          counter.inc(labels, by);
          model.inc(labels, by);
        }
      }
    }),
  );
});

test("a label that is none of the counter's is refused when it is counted", () => {
  const counter = createQuickCounter({
    name: "x_total",
    help: "x",
    labelNames: ["verb"],
    registers: [new Registry()],
  });
  expect(() => counter.inc({ verb: "MAIL", extra: "1" })).toThrow("extra");
});
