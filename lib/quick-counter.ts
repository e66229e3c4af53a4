/**
 * QuickCounter: a Prometheus counter for what is counted many times a message: a count is an addition, the library hears
 * of it when it is scraped.
 *
 * @module
 */
import { Counter, type Registry } from "prom-client";

export interface QuickCounter {
  /** `labels` names each of the counter's labels. */
  inc(labels: Readonly<Record<string, string>>, by?: number): void;
}

export interface QuickCounterOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly registers: Registry[];
}

/** One combination of label values. */
interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** What the library has not heard of. */
  fresh: number;
}

/** By the value of one label after another. */
type Branch = Map<string, Branch | Series>;

export function createQuickCounter({ name, help, labelNames, registers }: QuickCounterOptions): QuickCounter {
  const all: Series[] = [];
  const root: Branch = new Map();
  const counter = new Counter({
    ...{ name, help, labelNames: [...labelNames], registers },
    collect() {
      for (const series of all) {
        if (series.fresh !== 0) this.inc(series.labels, series.fresh);
        series.fresh = 0;
      }
    },
  });
  const begin = (labels: Readonly<Record<string, string>>): Series => {
    // Shows the series at once, and throws for a label that is none of the counter's.
    counter.inc(labels, 0);
    const series = { labels: { ...labels }, fresh: 0 };
    all.push(series);
    return series;
  };
  return {
    inc(labels, by = 1) {
      let branch = root;
      const depth = labelNames.length - 1;
      for (let at = 0; at < depth; at++) branch = descend(branch, labels[labelNames[at] ?? ""] ?? "");
      const last = labels[labelNames[depth] ?? ""] ?? "";
      const known = branch.get(last);
      const series = known === undefined || known instanceof Map ? begin(labels) : known;
      if (known === undefined) branch.set(last, series);
      series.fresh += by;
    },
  };
}

function descend(branch: Branch, value: string): Branch {
  const known = branch.get(value);
  if (known instanceof Map) return known;
  const next: Branch = new Map();
  branch.set(value, next);
  return next;
}
