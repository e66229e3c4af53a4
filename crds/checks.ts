/**
 * Checks over several fields of one object, and the helpers they share. Each stands beside the CEL rule that mirrors it.
 *
 * They run beside the checks of single fields, also when the object has unknown ones, so that one run names every fault.
 *
 * @module
 */
import { z } from "zod";
import { type IpRange, parseIpRange, rangeSize } from "../mail/ip-range.ts";
import { type CelRule, withRules } from "./validation.ts";

/** Reports a fault at a path below the checked object. */
export type ReportFault = (path: readonly (string | number)[], message: string) => void;

const WRONG_SHAPE: ReadonlySet<string> = new Set([
  "invalid_type",
  "invalid_value",
  "invalid_union",
  "invalid_key",
  "invalid_element",
]);

/** Attaches a check, and the CEL rules that say the same. It sees values of the right types, but fields may still break their own format. */
export function withCheck<Schema extends z.ZodObject>(
  schema: Schema,
  check: (spec: z.output<Schema>, fault: ReportFault) => void,
  ...rules: readonly CelRule[]
): Schema {
  const checked = schema.superRefine(
    (spec, context) =>
      check(spec, (path, message) => context.addIssue({ code: "custom", path: [...path], message })),
    { when: ({ issues }) => issues.every(({ code }) => code === undefined || !WRONG_SHAPE.has(code)) },
  );
  return withRules(checked, ...rules);
}

/** Some of a few words, each once. */
export function wordSet<const Words extends readonly string[]>(words: Words) {
  return z
    .array(z.enum(words))
    .max(words.length)
    .superRefine((list, context) =>
      reportDuplicates(list, (index, first) =>
        context.addIssue({ code: "custom", path: [index], message: `is the same as entry ${first}` }),
      ),
    )
    .meta({ "x-kubernetes-list-type": "set" });
}

/**
 * True for a valid range of more addresses than an IPv4 /16 has, or beyond one IPv6 /48: a relay or a trust for so many
 * clients is an open relay in all but name.
 */
export function isWideRange(text: string): boolean {
  const range = parseIpRange(text);
  return range !== undefined && isWide(range);
}

function isWide(range: IpRange): boolean {
  return range.family === 4 ? rangeSize(range) > 1n << 16n : range.first >> 80n !== range.last >> 80n;
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
