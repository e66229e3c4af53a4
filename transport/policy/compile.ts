/**
 * Compile: rule entries of a snapshot to a RuleSet. Never throws: a fault shows when the rule runs.
 *
 * A rule set begets the next one: entries that are the very same objects are not compiled again, whatever their order.
 *
 * @module
 */
import type { DomainTable } from "../../snapshot/domain-table.ts";
import type { RuleEntry } from "../../snapshot/schema.ts";
import type { RuleSet } from "./mod.ts";
import { createRuleCompiler, type RegexpEngine, type RuleCompiler, type StoredRule } from "./rule.ts";
import { createRulesInForce } from "./rules-in-force.ts";
import { type RuleBook, runRules } from "./run.ts";

/** Rules that are gone leave their words and patterns behind: beyond as many as there are, and this, all begins anew. */
const MIN_LEFT_BEHIND = 1000;

export interface RuleDeps {
  readonly domains: DomainTable;
  /** Default: mail/pattern.ts. */
  readonly regexp?: RegexpEngine;
}

/** The order of the entries is the order of evaluation. */
export function compileRules(entries: readonly RuleEntry[], deps: RuleDeps): RuleSet {
  const compiler = createRuleCompiler(deps.regexp);
  const rules = entries.map((entry) => compiler.store(entry));
  return createRuleSet(rules, compiler, deps);
}

function createRuleSet(rules: readonly StoredRule[], compiler: RuleCompiler, deps: RuleDeps): RuleSet {
  const { index, wordScan, compile } = compiler;
  const placesAt = createRulesInForce(rules, compiler.count);
  const book: RuleBook = { rules, placesAt, index, wordScan, compile, domains: deps.domains };
  return {
    size: rules.length,
    needsMime: rules.some(({ needsMime }) => needsMime),
    apply: (input, options = {}) => runRules(book, input, options.explain ?? false),
    next(entries, domains) {
      const leftBehind = compiler.count - entries.length;
      if (leftBehind > Math.max(MIN_LEFT_BEHIND, entries.length)) {
        return compileRules(entries, { ...deps, domains });
      }
      const known = new Map(rules.map((rule) => [rule.entry, rule]));
      const nextRules = entries.map((entry) => known.get(entry) ?? compiler.store(entry));
      return createRuleSet(nextRules, compiler, { ...deps, domains });
    },
  };
}
