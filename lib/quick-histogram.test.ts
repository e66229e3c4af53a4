import fc from "fast-check";
import { Histogram, Registry } from "prom-client";
import { expect, test } from "vitest";
import { createQuickHistogram } from "./quick-histogram.ts";

const buckets = [0.01, 0.5, 1];

test.each([
  { name: "with labels", labelNames: ["agent", "event"] },
  { name: "with one label", labelNames: ["connector"] },
  { name: "without labels", labelNames: [] },
])("$name it says at every scrape what the library's own histogram says", async ({ labelNames }) => {
  const value = fc.constantFrom(0, 0.01, 0.25, 0.5, 0.75, 1, 2);
  const label = fc.constantFrom("", "a", "b", 'quote"d', "line\nbreak");
  const step = fc.oneof(fc.constant("scrape" as const), fc.tuple(value, label, label));
  await fc.assert(
    fc.asyncProperty(fc.array(step), async (steps) => {
      const [quick, plain] = [new Registry(), new Registry()];
      const facts = { name: "duration_seconds", help: "Duration", labelNames, buckets };
      const histogram = createQuickHistogram({ ...facts, registers: [quick] });
      const model = new Histogram({ ...facts, registers: [plain] });
      for (const one of [...steps, "scrape" as const]) {
        if (one === "scrape") {
          expect(await quick.metrics()).toBe(await plain.metrics());
          expect(plainly(await quick.getMetricsAsJSON())).toEqual(plainly(await plain.getMetricsAsJSON()));
        } else {
          const [seconds, ...values] = one;
          const labels = Object.fromEntries(labelNames.map((name, at) => [name, values[at] ?? ""]));
          histogram.observe(seconds, labels);
          model.observe(labels, seconds);
        }
      }
    }),
  );
});

test("a label that is none of the histogram's is refused when it is observed", () => {
  const facts = { name: "x_seconds", help: "x", labelNames: ["agent"], buckets, registers: [new Registry()] };
  expect(() => createQuickHistogram(facts).observe(1, { agent: "a", extra: "1" })).toThrow("extra");
});

test("a timer observes the seconds since it was started", async () => {
  const registry = new Registry();
  const facts = { name: "x_seconds", help: "x", labelNames: ["agent"], buckets: [60], registers: [registry] };
  createQuickHistogram(facts).startTimer({ agent: "a" })();
  expect(await registry.metrics()).toContain('x_seconds_bucket{le="60",agent="a"} 1');
});

/** As another thread gets it; there are no exemplars, which the library says of each bucket. */
function plainly(metrics: unknown): unknown {
  return JSON.parse(JSON.stringify(metrics, (key, value) => (key === "exemplar" ? undefined : value)));
}
