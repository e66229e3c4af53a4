/**
 * QuickHistogram: a Prometheus histogram for what is timed many times a message: the library names it and writes it, but
 * an observation is two additions here.
 *
 * @module
 */
import { Histogram, type Registry } from "prom-client";
import { systemClock } from "./clock.ts";
import { createLabelSeries, type Labels } from "./label-series.ts";

export interface QuickHistogram {
  /** `labels` names each of the histogram's labels. */
  observe(value: number, labels?: Labels): void;
  /** Makes a function that observes the seconds since. */
  startTimer(labels?: Labels): () => void;
}

export interface QuickHistogramOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** Upper bounds, ascending. */
  readonly buckets: readonly number[];
  readonly registers: Registry[];
}

/** One combination of label values. */
interface Series {
  readonly labels: Labels;
  /** Observations in each bucket, and above the last one. */
  readonly counts: number[];
  sum: number;
}

interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

const NO_LABELS: Labels = {};

export function createQuickHistogram(options: QuickHistogramOptions): QuickHistogram {
  const { name, help, labelNames, buckets, registers } = options;
  const all: Series[] = [];
  const seriesOf = createLabelSeries(labelNames, (labels): Series => {
    const stranger = Object.keys(labels).find((label) => !labelNames.includes(label));
    if (stranger !== undefined) throw new Error(`Label "${stranger}" is none of the histogram "${name}"`);
    const series = { labels: { ...labels }, counts: new Array<number>(buckets.length + 1).fill(0), sum: 0 };
    all.push(series);
    return series;
  });
  // Without labels there is one series, from the start.
  if (labelNames.length === 0) seriesOf(NO_LABELS);
  const get = async () => {
    const values = all.flatMap((series) => samplesOf(name, buckets, series));
    return { name, help, type: "histogram", aggregator: "sum", values };
  };
  const histogram = new Histogram({
    name,
    help,
    labelNames: [...labelNames],
    buckets: [...buckets],
    registers,
  });
  // What the registry asks for: the text form and the plain one.
  Object.assign(histogram, { get, getForPromString: get });
  const observe = (value: number, labels = NO_LABELS) => {
    const series = seriesOf(labels);
    let at = 0;
    while (at < buckets.length && value > (buckets[at] ?? 0)) at += 1;
    series.counts[at] = (series.counts[at] ?? 0) + 1;
    series.sum += value;
  };
  return {
    observe,
    startTimer(labels) {
      const startedAt = systemClock.monotonic();
      return () => observe((systemClock.monotonic() - startedAt) / 1000, labels);
    },
  };
}

/** As the library writes them: each bucket with all below it, then the sum and the count. */
function samplesOf(name: string, buckets: readonly number[], { labels, counts, sum }: Series): Sample[] {
  let count = 0;
  const samples = counts.map((inBucket, at): Sample => {
    count += inBucket;
    return { metricName: `${name}_bucket`, labels: { le: buckets[at] ?? "+Inf", ...labels }, value: count };
  });
  return [
    ...samples,
    { metricName: `${name}_sum`, labels: { ...labels }, value: sum },
    { metricName: `${name}_count`, labels: { ...labels }, value: count },
  ];
}
