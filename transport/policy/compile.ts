/** Compile: rule entries of a snapshot to a RuleSet, once per snapshot. Never throws: a fault shows when the rule runs. */
import type { DomainTable } from "../../snapshot/domain-table.ts";
import type { RuleEntry } from "../../snapshot/schema.ts";
import type { RuleSet } from "./mod.ts";
import { createRuleCompiler, predicatesOf, type RegexpEngine } from "./rule.ts";
import { createRuleIndex } from "./rule-index.ts";
import { type RuleBook, runRules } from "./run.ts";
import { createWordScan } from "./word-scan.ts";

export interface RuleDeps {
  readonly domains: DomainTable;
  /** Default: mail/pattern.ts. */
  readonly regexp?: RegexpEngine;
}

/** The order of the entries is the order of evaluation. */
export function compileRules(entries: readonly RuleEntry[], deps: RuleDeps): RuleSet {
  const compiler = createRuleCompiler(deps.regexp);
  const rules = entries.map((entry, order) => compiler.compile(entry, order));
  const book: RuleBook = {
    rules,
    index: createRuleIndex(rules),
    wordScan: createWordScan(compiler.words),
    domains: deps.domains,
  };
  return {
    size: rules.length,
    needsMime: rules.some((rule) => predicatesOf(rule).some((predicate) => predicate.needsMime)),
    apply: (input, options = {}) => runRules(book, input, options.explain ?? false),
  };
}
