/**
 * Judge: one rule on one copy: which of its recipients does it match?
 *
 * Logic of three values (Kleene): no 0, unknown 1, yes 2; "and" is the least, "or" the greatest, "not" 2 - x. So an
 * unknown predicate does not matter where another one decides. A predicate of recipients gives one level for each.
 *
 * @module
 */
import type { Recipient } from "../../mail/message.ts";
import type { PredicateResult } from "./mod.ts";
import { NO, type Predicate, type Result, type Verdict } from "./predicate.ts";
import type { CompiledRule } from "./rule.ts";
import type { MessageView } from "./view.ts";

export interface Judgement {
  readonly outcome: "matched" | "not-matched" | "excepted" | "error";
  /** Those the rule matched, and those it could not be evaluated for. */
  readonly matched: readonly Recipient[];
  readonly unknown: readonly Recipient[];
  readonly released: readonly Recipient[];
  readonly predicates: readonly PredicateResult[];
  /** The unknown predicate that stands in the way, of the conditions or, when those hold, of the exceptions. */
  readonly cause: PredicateResult | undefined;
}

/** One level for all recipients, or one for each. */
type Levels = number | Uint8Array;

const LEVEL: Readonly<Record<Result, number>> = { no: 0, unknown: 1, yes: 2 };
const NO_RESULTS: readonly PredicateResult[] = [];
const NOBODY: readonly Recipient[] = [];
/** Of nobody. */
export const NO_JUDGEMENT: Judgement = {
  outcome: "not-matched",
  matched: [],
  unknown: [],
  released: [],
  predicates: [],
  cause: undefined,
};

/** `explain`: tries every predicate, also when the outcome is clear. */
export function judgeRule(
  rule: CompiledRule,
  view: MessageView,
  recipients: readonly Recipient[],
  explain: boolean,
): Judgement {
  if (recipients.length === 0) return NO_JUDGEMENT;
  const trial: Trial = { view, recipients, explain, results: NO_RESULTS };
  let holds = tryAll(trial, rule.conditions);
  if (rule.anyOf !== undefined && (explain || !isAll(holds, 0))) {
    holds = combine(holds, tryAny(trial, rule.anyOf), Math.min);
  }
  const released = explain || !isAll(holds, 0) ? tryAny(trial, rule.exceptions) : 0;
  return isPlainMiss(trial, holds, released)
    ? NO_JUDGEMENT
    : summarize(recipients, holds, released, trial.results);
}

/** Nobody is told of a rule that just does not match. */
function isPlainMiss({ explain }: Trial, holds: Levels, released: Levels): boolean {
  return !explain && typeof released === "number" && isAll(holds, 0);
}

function summarize(
  recipients: readonly Recipient[],
  holds: Levels,
  released: Levels,
  predicates: readonly PredicateResult[],
): Judgement {
  if (typeof holds === "number" && typeof released === "number") {
    return summarizeAlike(recipients, holds, released, predicates);
  }
  const levelOf = (index: number) => Math.min(levelAt(holds, index), 2 - levelAt(released, index));
  const matched = recipients.filter((_, index) => levelOf(index) === 2);
  const unknown = recipients.filter((_, index) => levelOf(index) === 1);
  const excepted = recipients.filter(
    (_, index) => levelAt(holds, index) > 0 && levelAt(released, index) === 2,
  );
  const firstUnknown = recipients.findIndex((_, index) => levelOf(index) === 1);
  const ofExceptions = levelAt(holds, firstUnknown) === 2;
  const cause = firstUnknown >= 0 ? findCause(predicates, ofExceptions) : undefined;
  const outcome = outcomeOf(matched, unknown, excepted);
  return { outcome, matched, unknown, released: excepted, predicates, cause };
}

/** All recipients fare alike, as they mostly do. */
function summarizeAlike(
  recipients: readonly Recipient[],
  holds: number,
  released: number,
  predicates: readonly PredicateResult[],
): Judgement {
  const level = Math.min(holds, 2 - released);
  const matched = level === 2 ? recipients : NOBODY;
  const unknown = level === 1 ? recipients : NOBODY;
  const excepted = holds > 0 && released === 2 ? recipients : NOBODY;
  const cause = level === 1 ? findCause(predicates, holds === 2) : undefined;
  return {
    outcome: outcomeOf(matched, unknown, excepted),
    matched,
    unknown,
    released: excepted,
    predicates,
    cause,
  };
}

function findCause(
  predicates: readonly PredicateResult[],
  ofExceptions: boolean,
): PredicateResult | undefined {
  return predicates.find(
    ({ predicate, result }) => result === "unknown" && predicate.startsWith("exceptions.") === ofExceptions,
  );
}

function outcomeOf(
  matched: readonly Recipient[],
  unknown: readonly Recipient[],
  excepted: readonly Recipient[],
): Judgement["outcome"] {
  if (unknown.length > 0) return "error";
  if (matched.length > 0) return "matched";
  return excepted.length > 0 ? "excepted" : "not-matched";
}

/** One rule at work. */
interface Trial {
  readonly view: MessageView;
  readonly recipients: readonly Recipient[];
  readonly explain: boolean;
  /** What each predicate said. */
  results: readonly PredicateResult[];
}

function tryAny(trial: Trial, groups: readonly (readonly Predicate[])[]): Levels {
  let levels: Levels = 0;
  for (const group of groups) {
    levels = combine(levels, tryAll(trial, group), Math.max);
    if (!trial.explain && isAll(levels, 2)) break;
  }
  return levels;
}

function tryAll(trial: Trial, predicates: readonly Predicate[]): Levels {
  let levels: Levels = 2;
  for (const predicate of predicates) {
    levels = combine(levels, tryOne(trial, predicate), Math.min);
    if (!trial.explain && isAll(levels, 0)) break;
  }
  return levels;
}

function tryOne(trial: Trial, predicate: Predicate): Levels {
  const { view, recipients } = trial;
  const [first, second] = recipients;
  if (first === undefined) return 0;
  if (predicate.perRecipient && second !== undefined) {
    const verdicts = recipients.map((recipient) => predicate.test(view, recipient));
    const levels = Uint8Array.from(verdicts, ({ result }) => LEVEL[result]);
    record(trial, predicate, deciding(verdicts, levels));
    return levels;
  }
  const verdict = predicate.test(view, first);
  record(trial, predicate, verdict);
  return LEVEL[verdict.result];
}

/** Most rules try one or two: a list that is pushed to has room for many more. */
function record(trial: Trial, { name }: Predicate, { result, evidence }: Verdict): void {
  trial.results = trial.results.concat({ predicate: name, result, evidence });
}

function deciding(verdicts: readonly Verdict[], levels: Uint8Array): Verdict {
  const best = levels.reduce((a, b) => Math.max(a, b), 0);
  return verdicts[levels.indexOf(best)] ?? NO;
}

function levelAt(levels: Levels, index: number): number {
  return typeof levels === "number" ? levels : (levels[index] ?? 0);
}

function isAll(levels: Levels, level: number): boolean {
  return typeof levels === "number" ? levels === level : levels.every((one) => one === level);
}

function combine(a: Levels, b: Levels, choose: (x: number, y: number) => number): Levels {
  if (typeof a === "number" && typeof b === "number") return choose(a, b);
  const many = typeof a === "number" ? b : a;
  const length = typeof many === "number" ? 0 : many.length;
  return Uint8Array.from({ length }, (_, index) => choose(levelAt(a, index), levelAt(b, index)));
}
