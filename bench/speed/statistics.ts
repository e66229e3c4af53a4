/** What some runs say together. Pure. */
import { median } from "../processes.ts";

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Undefined for no values at all. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  return { median: medianOf(values), least: Math.min(...values), most: Math.max(...values) };
}

/** Of an even number of values: the mean of the two in the middle. */
export function medianOf(values: readonly number[]): number {
  if (values.length % 2 === 1) return median(values);
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[values.length / 2 - 1], sorted[values.length / 2]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}

/** Warm: the last rate is within `share` of the one before. */
export function isSteady(rates: readonly number[], share: number): boolean {
  const [before, last] = rates.slice(-2);
  if (before === undefined || last === undefined) return false;
  return Math.abs(last - before) <= share * before;
}

/** Messages for a run of so many seconds, as many for each client; two digits are enough. */
export function messagesFor(rate: number, seconds: number, clients: number): number {
  const wanted = Math.max(rate * seconds, clients, 10);
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(wanted)) - 1);
  return Math.ceil(wanted / unit) * unit;
}
