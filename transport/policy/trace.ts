/** Trace: what each rule did, joined over the copies it was tried on; feeds log, tracking and `explain`. */
import type { Recipient } from "../../mail/message.ts";
import { type Judgement, NO_JUDGEMENT } from "./judge.ts";
import type { RuleTrace } from "./mod.ts";
import type { CompiledRule } from "./rule.ts";

const WEIGHT: Readonly<Record<RuleTrace["outcome"], number>> = {
  error: 4,
  matched: 3,
  excepted: 2,
  "not-matched": 1,
  inactive: 0,
};

/** Of several judgements the weightiest speaks; the recipients of all that came to the same are named. */
export function traceRule({ entry, actions }: CompiledRule, judgements: readonly Judgement[]): RuleTrace {
  const { name, mode } = entry;
  const [first = NO_JUDGEMENT, ...others] = judgements;
  const weightiest = others.reduce(
    (best, one) => (WEIGHT[one.outcome] > WEIGHT[best.outcome] ? one : best),
    first,
  );
  const { outcome, predicates } = weightiest;
  const joined = (list: (one: Judgement) => readonly Recipient[]) =>
    others.length === 0 ? list(first) : judgements.flatMap(list);
  const matched = joined((one) => one.matched);
  return {
    rule: name,
    mode,
    outcome,
    predicates,
    actions: matched.length > 0 ? actions.names : [],
    recipients: outcome === "error" || outcome === "excepted" ? joined(NAMED[outcome]) : matched,
  };
}

const NAMED = {
  error: (one: Judgement) => one.unknown,
  excepted: (one: Judgement) => one.released,
};

export function traceInactive({ entry }: CompiledRule): RuleTrace {
  const { name, mode } = entry;
  return { rule: name, mode, outcome: "inactive", predicates: [], actions: [], recipients: [] };
}
