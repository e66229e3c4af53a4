/** Rule: an entry of the snapshot, compiled: predicates and actions ready to run. Never throws on what the entry says. */
import { compilePattern, type Pattern } from "../../mail/pattern.ts";
import type { RuleEntry } from "../../snapshot/schema.ts";
import { type CompiledActions, compileActions } from "./actions.ts";
import type { CompiledPattern, Conditions, FactoryContext } from "./factory.ts";
import { foldText } from "./fold.ts";
import { requiredLiteral } from "./literal.ts";
import type { Predicate } from "./predicate.ts";
import { compilePredicates } from "./predicates.ts";

/** Makes patterns; the usual one is mail/pattern.ts. Throws what is wrong with the source. */
export interface RegexpEngine {
  compile(source: string): Pattern;
}

export interface CompiledRule {
  readonly entry: RuleEntry;
  /** Place in the order of evaluation. */
  readonly order: number;
  /** All must hold. */
  readonly conditions: readonly Predicate[];
  /** Of one of them, all must hold; undefined: there are none to hold. */
  readonly anyOf: readonly (readonly Predicate[])[] | undefined;
  /** Of any of them, all must hold to release the message: each predicate by itself, and each alternative of anyOf. */
  readonly exceptions: readonly (readonly Predicate[])[];
  readonly actions: CompiledActions;
}

export interface RuleCompiler {
  compile(entry: RuleEntry, order: number): CompiledRule;
  /** Everything that the rules compiled so far look for in texts, folded. */
  readonly words: ReadonlySet<string>;
}

export function createRuleCompiler(engine: RegexpEngine = { compile: compilePattern }): RuleCompiler {
  const words = new Set<string>();
  const patterns = new Map<string, CompiledPattern>();
  const addWord = (text: string) => {
    const folded = foldText(text.trim());
    words.add(folded);
    return folded;
  };
  const readPattern = (source: string): CompiledPattern => {
    const known = patterns.get(source) ?? lazyPattern(source, engine);
    patterns.set(source, known);
    if (known.literal !== undefined) words.add(known.literal);
    return known;
  };
  return {
    words,
    compile(entry, order) {
      const { senderAddressLocation } = entry;
      return compileRule(entry, order, { senderAddressLocation, addWord, compilePattern: readPattern });
    },
  };
}

function compileRule(entry: RuleEntry, order: number, context: FactoryContext): CompiledRule {
  const { conditions = {}, exceptions = {} } = entry;
  const released = compilePredicates(exceptions, context, "exceptions.");
  return {
    entry,
    order,
    conditions: compilePredicates(conditions, context),
    anyOf: conditions.anyOf && compileAlternatives(conditions.anyOf, context, "anyOf"),
    exceptions: [
      ...released.map((predicate) => [predicate]),
      // An empty alternative names no predicate that could release anything.
      ...compileAlternatives(exceptions.anyOf ?? [], context, "exceptions.anyOf").filter(
        (alternative) => alternative.length > 0,
      ),
    ],
    actions: compileActions(entry),
  };
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

/** Every predicate of the rule, in the order of the schema's parts. */
export function predicatesOf({ conditions, anyOf = [], exceptions }: CompiledRule): Predicate[] {
  return [...conditions, ...anyOf.flat(), ...exceptions.flat()];
}
