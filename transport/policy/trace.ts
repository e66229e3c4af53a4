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
export function traceRule(rule: CompiledRule, judgements: readonly Judgement[]): RuleTrace {
  const [first = NO_JUDGEMENT, ...others] = judgements;
  if (others.length === 0) return trace(rule, first, first.matched, namedIn(first, first.outcome));
  const weightiest = others.reduce(
    (best, one) => (WEIGHT[one.outcome] > WEIGHT[best.outcome] ? one : best),
    first,
  );
  const matched = judgements.flatMap((one) => one.matched);
  const named = judgements.flatMap((one) => namedIn(one, weightiest.outcome));
  return trace(rule, weightiest, matched, named);
}

function trace(
  { entry: { name, mode }, actions }: CompiledRule,
  { outcome, predicates }: Judgement,
  matched: readonly Recipient[],
  recipients: readonly Recipient[],
): RuleTrace {
  const taken = matched.length > 0 ? actions.names : NO_ACTIONS;
  return { rule: name, mode, outcome, predicates, actions: taken, recipients };
}

const NO_ACTIONS: readonly string[] = [];

function namedIn(one: Judgement, outcome: Judgement["outcome"]): readonly Recipient[] {
  if (outcome === "error") return one.unknown;
  return outcome === "excepted" ? one.released : one.matched;
}

export function traceInactive({ entry }: CompiledRule): RuleTrace {
  const { name, mode } = entry;
  return { rule: name, mode, outcome: "inactive", predicates: [], actions: [], recipients: [] };
}
