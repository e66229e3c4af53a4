/** Fault: what is wrong with a manifest, at its file, line and field; and the words for the issues that zod finds. Pure. */
import type { z } from "zod";
import type { FieldPath } from "./yaml-source.ts";

export interface Fault {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** Dotted path: "spec.bindings[0].port"; "" for the object or file as a whole. */
  readonly field: string;
  /** kind/namespace/name; "" when the manifest does not say. */
  readonly object: string;
  readonly reason: string;
}

/** `file:line field: reason`, or `file:line: reason` when no field is at fault. */
export function formatFault({ file, line, field, reason }: Fault): string {
  return field === "" ? `${file}:${line}: ${reason}` : `${file}:${line} ${field}: ${reason}`;
}

/** ["spec", "domains", 0] -> "spec.domains[0]". */
export function formatPath(path: FieldPath): string {
  return path
    .map((step, at) => (typeof step === "number" ? `[${step}]` : at === 0 ? step : `.${step}`))
    .join("");
}

/** The other way round, for paths that diagnostics carry. */
export function parsePath(text: string): FieldPath {
  return [...text.matchAll(/\[(\d+)\]|[^.[\]]+/g)].map(([step, index]) =>
    index === undefined ? step : Number(index),
  );
}

export interface FieldFault {
  readonly path: FieldPath;
  readonly reason: string;
}

/** Words for zod's issues; an unknown field is named with the nearest one that exists. */
export function describeIssues(schema: z.ZodType, issues: readonly z.core.$ZodIssue[]): FieldFault[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map((step) => (typeof step === "number" ? step : String(step)));
    if (issue.code !== "unrecognized_keys") return [{ path, reason: describeIssue(issue) }];
    const known = Object.keys(shapeAt(schema, path) ?? {});
    return issue.keys.map((key) => ({
      path: [...path, key],
      reason: describeUnknown(key, known),
    }));
  });
}

function describeUnknown(key: string, known: readonly string[]): string {
  if (key === "<<")
    return "merge keys are not supported: write the fields out, or use an alias for the whole value";
  return `unknown field${didYouMean(key, known)}`;
}

/** `, did you mean "x"?` for the nearest candidate, or "" when none is near. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const bound = Math.max(2, Math.floor(word.length / 3));
  let best: { name: string; distance: number } | undefined;
  for (const name of candidates) {
    const distance = editDistance(word.toLowerCase(), name.toLowerCase());
    if (distance <= bound && distance < (best?.distance ?? Number.POSITIVE_INFINITY))
      best = { name, distance };
  }
  return best === undefined ? "" : `, did you mean "${best.name}"?`;
}

function describeIssue(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_type") return describeType(issue);
  if (issue.code === "invalid_value") return describeValue(issue);
  if (issue.code === "too_small") {
    return issue.origin === "number" ? `must be at least ${issue.minimum}` : describeTooShort(issue);
  }
  if (issue.code === "too_big") return describeTooBig(issue);
  if (issue.code === "invalid_format" && issue.format === "datetime") {
    return "write an RFC 3339 time such as 2026-01-31T09:00:00Z";
  }
  if (issue.code === "invalid_key" && issue.issues[0] !== undefined) return describeIssue(issue.issues[0]);
  return issue.message;
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
};

function describeType({ expected, input }: z.core.$ZodIssueInvalidType): string {
  if (input === undefined) return "is missing";
  if (input === null) return "is empty: fill it in or leave it out";
  const wanted = TYPE_WORDS[expected] ?? expected;
  if (expected === "int" && typeof input === "number") return `must be a whole number, not ${input}`;
  const given = TYPE_WORDS[Array.isArray(input) ? "array" : typeof input] ?? typeof input;
  const mend = expected === "string" && typeof input !== "object" ? ": write it in quotes" : "";
  return `must be ${wanted}, not ${given}${mend}`;
}

function describeValue({ values, input }: z.core.$ZodIssueInvalidValue): string {
  if (input === undefined) return "is missing";
  const names = values.map(String);
  const allowed = names.length === 1 ? `must be ${names[0]}` : `must be one of ${names.join(", ")}`;
  if (typeof input !== "string") return allowed;
  return `${allowed}, not "${input.slice(0, 64)}"${didYouMean(input, names)}`;
}

function describeTooShort({ origin, minimum }: z.core.$ZodIssueTooSmall): string {
  if (origin === "array")
    return minimum === 1 ? "needs at least one entry" : `needs at least ${minimum} entries`;
  return minimum === 1 ? "must not be empty" : `must have at least ${minimum} characters`;
}

function describeTooBig({ origin, maximum }: z.core.$ZodIssueTooBig): string {
  if (origin === "number" || origin === "int") return `must be at most ${maximum}`;
  return `must have at most ${maximum} ${origin === "array" ? "entries" : "characters"}`;
}

/** Fields of the object schema at a path, through optional, default and list wrappers. */
function shapeAt(schema: z.ZodType, path: FieldPath): Readonly<Record<string, z.ZodType>> | undefined {
  let current: z.ZodType | undefined = schema;
  for (const step of path) {
    const inner: Unwrapped = unwrap(current);
    current = typeof step === "number" ? inner.element : inner.shape?.[step];
  }
  return unwrap(current).shape;
}

interface Unwrapped {
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly element?: z.ZodType;
  readonly innerType?: z.ZodType;
}

function unwrap(schema: z.ZodType | undefined): Unwrapped {
  let definition = (schema?._zod.def ?? {}) as Unwrapped;
  while (definition.innerType !== undefined) definition = definition.innerType._zod.def as Unwrapped;
  return definition;
}

/** Levenshtein; words are cut, since nobody misspells a field by hundreds of characters. */
function editDistance(a: string, b: string): number {
  const [from, to] = [a.slice(0, 64), b.slice(0, 64)];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const swap = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
