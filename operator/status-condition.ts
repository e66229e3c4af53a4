/** Conditions put together: kept times, kept order, equal statuses are the very same value. Pure. */
import { type Condition, type ConditionType, NEGATIVE_CONDITIONS, REASON } from "../crds/mod.ts";

/** Shorter than the API server's limit, so that ten thousand of them fit in memory. */
const MAX_MESSAGE = 4096;

/** What one condition is to say. */
export interface Verdict {
  readonly status: Condition["status"];
  readonly reason: string;
  readonly message: string;
}

export type Verdicts = readonly (readonly [ConditionType, Verdict])[];

export interface Seen {
  readonly generation: number;
  /** Conditions as they stand. */
  readonly before: readonly Condition[] | undefined;
  /** RFC 3339. */
  readonly now: string;
}

/** A condition's time moves with its status only; negative ones are there only while True. */
export function makeConditions(verdicts: Verdicts, { generation, before, now }: Seen): Condition[] {
  return verdicts
    .filter(([type, { status }]) => status === "True" || !NEGATIVE_CONDITIONS.has(type))
    .map(([type, { status, reason, message }]) => {
      const old = before?.find((one) => one.type === type);
      return {
        type,
        status,
        reason,
        message: clip(message),
        observedGeneration: generation,
        lastTransitionTime: old?.status === status ? old.lastTransitionTime : now,
      };
    });
}

export function holds(reason: string, message = ""): Verdict {
  return { status: "True", reason, message };
}

export function fails(reason: string, message = ""): Verdict {
  return { status: "False", reason, message };
}

export function pends(reason: string, message = ""): Verdict {
  return { status: "Unknown", reason, message };
}

/** The first that fails, or else the first that pends; undefined: all hold. */
export function firstUnfit(verdicts: readonly Verdict[]): Verdict | undefined {
  return (
    verdicts.find(({ status }) => status === "False") ?? verdicts.find(({ status }) => status === "Unknown")
  );
}

/** Ready, from what it sums up: work under way is neither right nor wrong. */
export function summarize(verdicts: readonly Verdict[]): Verdict {
  const unfit = firstUnfit(verdicts);
  if (unfit === undefined) return holds(REASON.ready);
  return unfit.status === "Unknown" ? pends(REASON.progressing, unfit.message) : unfit;
}

/** `before` itself when nothing differs: then there is nothing to write. */
export function unlessEqual<Status extends object>(before: Status | undefined, after: Status): Status {
  return before !== undefined && isEqual(before, after) ? before : after;
}

function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const [left, right] = [Object.entries(a), Object.entries(b)];
  return left.length === right.length && left.every(([key, value]) => isEqual(value, Reflect.get(b, key)));
}

function clip(text: string): string {
  return text.length <= MAX_MESSAGE ? text : `${text.slice(0, MAX_MESSAGE - 1)}…`;
}
