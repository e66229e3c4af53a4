/** Rule: an entry of the snapshot, compiled: predicates and actions ready to run. Never throws on what the entry says. */
import { compilePattern, type Pattern } from "../../mail/pattern.ts";
import type { RuleEntry } from "../../snapshot/schema.ts";
import { type CompiledActions, compileActions } from "./actions.ts";
import type { CompiledPattern, Conditions, FactoryContext } from "./factory.ts";
import { foldText } from "./fold.ts";
import { bestKeys } from "./index-keys.ts";
import { requiredLiteral } from "./literal.ts";
import type { Predicate } from "./predicate.ts";
import { compilePredicates } from "./predicates.ts";
import { createRuleIndex, type RuleIndex } from "./rule-index.ts";
import { createWordScan, type WordScan } from "./word-scan.ts";

/** Makes patterns; the usual one is mail/pattern.ts. Throws what is wrong with the source. */
export interface RegexpEngine {
  compile(source: string): Pattern;
}

/**
 * A rule as it is kept: most are never a candidate, and one compiled takes 2 kB. Its place in the order of evaluation is
 * not in it: that changes when other rules come and go.
 */
export interface StoredRule {
  /** Counts up; names it in the index. */
  readonly id: number;
  readonly entry: RuleEntry;
  readonly needsMime: boolean;
  /** Known once it was a candidate. */
  compiled: CompiledRule | undefined;
}

export interface CompiledRule {
  readonly entry: RuleEntry;
  /** All must hold. */
  readonly conditions: readonly Predicate[];
  /** Of one of them, all must hold; undefined: there are none to hold. */
  readonly anyOf: readonly (readonly Predicate[])[] | undefined;
  /** Of any of them, all must hold to release the message: each predicate by itself, and each alternative of anyOf. */
  readonly exceptions: readonly (readonly Predicate[])[];
  readonly actions: CompiledActions;
}

export interface RuleCompiler {
  /** Enters what the rule looks for into index and scan. */
  store(entry: RuleEntry): StoredRule;
  compile(rule: StoredRule): CompiledRule;
  /** Finds everything that the rules stored so far look for in texts. */
  readonly wordScan: WordScan;
  /** Of the rules stored so far. */
  readonly index: RuleIndex;
  /** Rules stored so far. */
  readonly count: number;
}

export function createRuleCompiler(engine: RegexpEngine = { compile: compilePattern }): RuleCompiler {
  let count = 0;
  const wordScan = createWordScan();
  const index = createRuleIndex();
  const patterns = new Map<string, CompiledPattern>();
  const addWord = (text: string) => {
    const folded = foldText(text.trim());
    wordScan.add(folded);
    return folded;
  };
  const readPattern = (source: string): CompiledPattern => {
    const known = patterns.get(source) ?? lazyPattern(source, engine);
    patterns.set(source, known);
    if (known.literal !== undefined) wordScan.add(known.literal);
    return known;
  };
  const compileEntry = (entry: RuleEntry) => {
    const { senderAddressLocation } = entry;
    return compileRule(entry, { senderAddressLocation, addWord, compilePattern: readPattern });
  };
  return {
    wordScan,
    index,
    get count() {
      return count;
    },
    store(entry) {
      const rule = compileEntry(entry);
      const { conditions, anyOf = [], exceptions } = rule;
      const predicates = [...conditions, ...anyOf.flat(), ...exceptions.flat()];
      const id = count++;
      index.add(id, bestKeys(rule));
      return {
        id,
        entry,
        needsMime: predicates.some(({ needsMime }) => needsMime),
        compiled: undefined,
      };
    },
    compile(rule) {
      rule.compiled ??= compileEntry(rule.entry);
      return rule.compiled;
    },
  };
}

function compileRule(entry: RuleEntry, context: FactoryContext): CompiledRule {
  const { conditions = {}, exceptions = {} } = entry;
  return {
    entry,
    conditions: compilePredicates(conditions, context),
    anyOf: conditions.anyOf && compileAlternatives(conditions.anyOf, context, "anyOf"),
    exceptions: compileExceptions(exceptions, context),
    actions: compileActions(entry),
  };
}

function compileExceptions(exceptions: Conditions, context: FactoryContext): Predicate[][] {
  const alone = compilePredicates(exceptions, context, "exceptions.");
  const alternatives = compileAlternatives(exceptions.anyOf ?? [], context, "exceptions.anyOf");
  // An empty alternative names no predicate that could release anything.
  return [...alone.map((predicate) => [predicate]), ...alternatives.filter(({ length }) => length > 0)];
}

function compileAlternatives(
  alternatives: NonNullable<Conditions["anyOf"]>,
  context: FactoryContext,
  prefix: string,
): Predicate[][] {
  return alternatives.map((alternative, index) =>
    compilePredicates(alternative, context, `${prefix}[${index}].`),
  );
}

function lazyPattern(source: string, engine: RegexpEngine): CompiledPattern {
  let built: Pattern | string | undefined;
  return {
    literal: requiredLiteral(source),
    build() {
      built ??= tryPattern(source, engine);
      return built;
    },
  };
}

function tryPattern(source: string, engine: RegexpEngine): Pattern | string {
  try {
    return engine.compile(source);
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
}
