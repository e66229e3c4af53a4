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
import { type CompiledRule, createRuleCompiler, type RegexpEngine, type RuleCompiler } from "./rule.ts";
import { createRuleIndex, type RuleIndex } from "./rule-index.ts";
import { type RuleBook, runRules } from "./run.ts";

/** Rules that are gone leave their words and patterns behind: beyond as many as there are, and this, all begins anew. */
const MIN_LEFT_BEHIND = 1000;

export interface RuleDeps {
  readonly domains: DomainTable;
  /** Default: mail/pattern.ts. */
  readonly regexp?: RegexpEngine;
}

interface Compiled {
  readonly rules: readonly CompiledRule[];
  readonly index: RuleIndex;
}

/** The order of the entries is the order of evaluation. */
export function compileRules(entries: readonly RuleEntry[], deps: RuleDeps): RuleSet {
  const compiler = createRuleCompiler(deps.regexp);
  const rules = entries.map((entry) => compiler.compile(entry));
  return createRuleSet({ rules, index: createRuleIndex(rules) }, compiler, deps);
}

function createRuleSet(compiled: Compiled, compiler: RuleCompiler, deps: RuleDeps): RuleSet {
  const { rules } = compiled;
  const book: RuleBook = { ...compiled, wordScan: compiler.wordScan, domains: deps.domains };
  return {
    size: rules.length,
    needsMime: rules.some(({ needsMime }) => needsMime),
    apply: (input, options = {}) => runRules(book, input, options.explain ?? false),
    next(entries, domains) {
      const nextDeps = { ...deps, domains };
      const leftBehind = compiler.count - entries.length;
      return leftBehind > Math.max(MIN_LEFT_BEHIND, entries.length)
        ? compileRules(entries, nextDeps)
        : createRuleSet(recompile(entries, compiled, compiler), compiler, nextDeps);
    },
  };
}

function recompile(entries: readonly RuleEntry[], before: Compiled, compiler: RuleCompiler): Compiled {
  const same = before.rules;
  if (entries.length === same.length && entries.every((entry, at) => entry === same[at]?.entry))
    return before;
  const known = new Map(same.map((rule) => [rule.entry, rule]));
  const rules = entries.map((entry) => known.get(entry) ?? compiler.compile(entry));
  return { rules, index: createRuleIndex(rules) };
}
