/** How figures of several runs are written: medians with their spread, rates, milliseconds, sizes. */
import { median, percentile } from "../processes.ts";

/** `2,100/s (1,900 to 2,300)` */
export function rateWithSpread(rates: readonly number[]): string {
  return `${whole(median(rates))}/s (${whole(Math.min(...rates))} to ${whole(Math.max(...rates))})`;
}

export function rate(perSecond: number): string {
  return `${perSecond < 20 ? perSecond.toFixed(1) : whole(perSecond)}/s`;
}

export function whole(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString("en") : "none";
}

export function milliseconds(value: number): string {
  if (!Number.isFinite(value)) return "none";
  return `${value < 10 ? value.toFixed(2) : whole(value)} ms`;
}

export function percent(share: number): string {
  return Number.isFinite(share) ? `${Math.round(share * 100)} %` : "unknown";
}

export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly count: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const max = values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  return {
    p50: percentile(values, 0.5),
    p99: percentile(values, 0.99),
    max: values.length === 0 ? Number.NaN : max,
    count: values.length,
  };
}

/** p50, p99 and longest, as cells of a row. */
export function spreadCells(values: readonly number[]): string[] {
  const { p50, p99, max } = spreadOf(values);
  return [p50, p99, max].map(milliseconds);
}

/** Runs of `runs` rounds: each of `rows` once a round, in turn, so that what drifts drifts for all. */
export async function interleaved<Row, Figure>(
  runs: number,
  rows: readonly Row[],
  measure: (row: Row, round: number) => Promise<Figure>,
): Promise<Map<Row, Figure[]>> {
  const figures = new Map<Row, Figure[]>(rows.map((row) => [row, []]));
  for (let round = 0; round < runs; round += 1) {
    for (const row of rows) figures.get(row)?.push(await measure(row, round));
  }
  return figures;
}
