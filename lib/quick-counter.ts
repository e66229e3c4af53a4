/**
 * QuickCounter: a Prometheus counter for what is counted many times a message: a count is an addition, the library hears
 * of it when it is scraped.
 *
 * @module
 */
import { Counter, type Registry } from "prom-client";
import { createLabelSeries, type Labels } from "./label-series.ts";

export interface QuickCounter {
  /** `labels` names each of the counter's labels. */
  inc(labels: Labels, by?: number): void;
}

export interface QuickCounterOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly registers: Registry[];
}

/** One combination of label values. */
interface Series {
  readonly labels: Labels;
  /** What the library has not heard of. */
  fresh: number;
}

export function createQuickCounter({ name, help, labelNames, registers }: QuickCounterOptions): QuickCounter {
  const all: Series[] = [];
  const counter = new Counter({
    ...{ name, help, labelNames: [...labelNames], registers },
    collect() {
      for (const series of all) {
        if (series.fresh !== 0) this.inc(series.labels, series.fresh);
        series.fresh = 0;
      }
    },
  });
  const seriesOf = createLabelSeries(labelNames, (labels): Series => {
    // Shows the series at once, and throws for a label that is none of the counter's.
    counter.inc(labels, 0);
    const series = { labels: { ...labels }, fresh: 0 };
    all.push(series);
    return series;
  });
  return {
    inc(labels, by = 1) {
      seriesOf(labels).fresh += by;
    },
  };
}
