/**
 * Index keys of a rule: those of its most selective predicate (an address before a word, a word before a scope).
 *
 * @module
 */
import type { IndexKey, Predicate } from "./predicate.ts";
import type { CompiledRule } from "./rule.ts";

const MEASURE_RANK = 7;

/** Keys of which the message must have one for the rule to hold; undefined: there are none. */
export function bestKeys({
  conditions,
  anyOf,
}: Pick<CompiledRule, "conditions" | "anyOf">): readonly IndexKey[] | undefined {
  const options = conditions.flatMap(({ index }) => (index === undefined ? [] : [[index]]));
  const alternatives = anyOf?.map(bestOf);
  if (alternatives?.every((index) => index !== undefined)) options.push(alternatives);
  return options.reduce<readonly IndexKey[] | undefined>(
    (best, keys) => (best === undefined || rank(keys) < rank(best) ? keys : best),
    undefined,
  );
}

function bestOf(predicates: readonly Predicate[]): IndexKey | undefined {
  return predicates
    .flatMap(({ index }) => index ?? [])
    .reduce<IndexKey | undefined>(
      (best, key) => (best === undefined || rank([key]) < rank([best]) ? key : best),
      undefined,
    );
}

/** The worst of them: one alternative that nearly every message has spoils the rest. */
function rank(keys: readonly IndexKey[]): number {
  return Math.max(0, ...keys.map((key) => (key.kind === "facet" ? key.facet.rank : MEASURE_RANK)));
}
