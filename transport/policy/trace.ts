/** Trace: what each rule did, joined over the copies it was tried on; feeds log, tracking and `explain`. */
import type { Judgement } from "./judge.ts";
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
  const weightiest = judgements.reduce<Judgement | undefined>(
    (best, one) => (best === undefined || WEIGHT[one.outcome] > WEIGHT[best.outcome] ? one : best),
    undefined,
  );
  const outcome = weightiest?.outcome ?? "not-matched";
  const matched = judgements.flatMap((one) => one.matched);
  const named = { error: (one: Judgement) => one.unknown, excepted: (one: Judgement) => one.released };
  const recipients =
    outcome === "error" || outcome === "excepted" ? judgements.flatMap(named[outcome]) : matched;
  return {
    rule: entry.name,
    mode: entry.mode,
    outcome,
    predicates: weightiest?.predicates ?? [],
    actions: matched.length > 0 ? actions.names : [],
    recipients,
  };
}

export function traceInactive({ entry }: CompiledRule): RuleTrace {
  const { name, mode } = entry;
  return { rule: name, mode, outcome: "inactive", predicates: [], actions: [], recipients: [] };
}
