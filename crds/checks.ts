/**
 * Checks over several fields of one object, and the helpers they share. Each becomes a CEL rule of the CRD later.
 *
 * They run beside the checks of single fields, also when the object has unknown ones, so that one run names every fault.
 *
 * @module
 */
import type { z } from "zod";
import { parseIpRange, rangeSize } from "../mail/ip-range.ts";

/** Reports a fault at a path below the checked object. */
export type ReportFault = (path: readonly (string | number)[], message: string) => void;

const WRONG_SHAPE: ReadonlySet<string> = new Set([
  "invalid_type",
  "invalid_value",
  "invalid_union",
  "invalid_key",
  "invalid_element",
]);

/** Attaches a check. It sees values of the right types, but fields may still break their own format. */
export function withCheck<Schema extends z.ZodObject>(
  schema: Schema,
  check: (spec: z.output<Schema>, fault: ReportFault) => void,
): Schema {
  return schema.superRefine(
    (spec, context) =>
      check(spec, (path, message) => context.addIssue({ code: "custom", path: [...path], message })),
    { when: ({ issues }) => issues.every(({ code }) => code === undefined || !WRONG_SHAPE.has(code)) },
  );
}

/** A relay or a trust for more clients than these is an open relay in all but name. */
const WIDEST = { 4: 1n << 16n, 6: 1n << 80n } as const;

/** True for a valid range wider than IPv4 /16 or IPv6 /48. */
export function isWideRange(text: string): boolean {
  const range = parseIpRange(text);
  return range !== undefined && rangeSize(range) > WIDEST[range.family];
}

/** True for a valid range that holds every address of its family. */
export function isWholeFamily(text: string): boolean {
  const range = parseIpRange(text);
  return range !== undefined && rangeSize(range) === 1n << (range.family === 4 ? 32n : 128n);
}

/** Reports each entry whose key stood before. An undefined key is no duplicate: its own format is at fault. */
export function reportDuplicates(
  keys: readonly (string | undefined)[],
  report: (index: number, first: number) => void,
): void {
  const seen = new Map<string, number>();
  for (const [index, key] of keys.entries()) {
    if (key === undefined) continue;
    const first = seen.get(key);
    if (first === undefined) seen.set(key, index);
    else report(index, first);
  }
}
