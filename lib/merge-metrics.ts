/**
 * MergeMetrics: metrics of several threads as those of one process, in Prometheus's text format.
 *
 * Counters and histograms add up. Metrics of the whole process (process_*) are those of the main thread, for every thread
 * reads the same ones.
 *
 * @module
 */
import { AggregatorRegistry, type MetricObject, type Registry } from "prom-client";

/** One metric with its values, as a registry gives it: plain data. */
export type MetricFigures = MetricObject;

/** Of these the largest counts: the age of the oldest message, the level of back pressure. */
const LARGEST: ReadonlySet<string> = new Set([
  "postroom_queue_oldest_seconds",
  "postroom_back_pressure_level",
]);

export async function mergeMetrics(main: Registry, others: readonly MetricFigures[]): Promise<string> {
  if (others.length === 0) return main.metrics();
  const own = await main.getMetricsAsJSON();
  const whole = own.filter(isOfProcess).map((metric) => ({ ...metric, aggregator: "first" as const }));
  const parts = [...own, ...others]
    .filter((metric) => !isOfProcess(metric))
    .map((metric) => (LARGEST.has(metric.name) ? { ...metric, aggregator: "max" as const } : metric));
  return AggregatorRegistry.aggregate([[...whole, ...parts]]).metrics();
}

function isOfProcess({ name }: MetricFigures): boolean {
  return name.startsWith("process_");
}
