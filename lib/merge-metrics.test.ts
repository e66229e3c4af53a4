import { expect, test } from "vitest";
import { mergeMetrics } from "./merge-metrics.ts";
import { createMetrics } from "./metrics.ts";

test("counts of threads add up, ages and levels are the largest, and the process is told of once", async () => {
  const [main, a, b] = [createMetrics(), createMetrics(), createMetrics()];
  main.reloads.inc({ outcome: "applied" });
  for (const [metrics, factor] of [
    [a, 1],
    [b, 2],
  ] as const) {
    metrics.messagesReceived.inc({ connector: "in" }, 10 * factor);
    metrics.queueMessages.set({ queue: "Delivery", next_hop: "x" }, factor);
    metrics.queueOldest.set({ queue: "Delivery", next_hop: "x" }, 100 * factor);
    metrics.pressure.set(factor);
    metrics.acceptSeconds.observe(0.002);
  }
  const ofThreads = [a, b].map(({ registry }) => registry.getMetricsAsJSON());
  const sent = structuredClone((await Promise.all(ofThreads)).flat());
  const text = await mergeMetrics(main.registry, sent);
  const lines = text.split("\n");
  for (const line of [
    'postroom_messages_received_total{connector="in"} 30',
    'postroom_queue_messages{queue="Delivery",next_hop="x"} 3',
    'postroom_queue_oldest_seconds{queue="Delivery",next_hop="x"} 200',
    "postroom_back_pressure_level 2",
    'postroom_accept_duration_seconds_bucket{le="0.005"} 2',
    "postroom_accept_duration_seconds_count 2",
    'postroom_reloads_total{outcome="applied"} 1',
  ])
    expect(lines).toContain(line);
  const resident = lines.filter((line) => line.startsWith("process_resident_memory_bytes "));
  expect(resident).toHaveLength(1);
  expect(Number(resident[0]?.split(" ")[1])).toBeLessThan(process.memoryUsage.rss() * 2);
  expect(lines.filter((line) => line.startsWith("process_start_time_seconds "))).toHaveLength(1);
});
