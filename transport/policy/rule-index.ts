/**
 * Rule index: the rules that could hold for a message, found by what the message has.
 *
 * Each rule stands under the keys of its most selective predicate (an address before a word, a word before a scope).
 * A message lacks the keys of nearly all rules, and those it lacks are never looked at. A rule without any predicate
 * that has keys is always looked at.
 *
 * @module
 */
import {
  type Facet,
  facetValues,
  type IndexKey,
  type Measure,
  measured,
  type Predicate,
} from "./predicate.ts";
import type { CompiledRule } from "./rule.ts";
import type { MessageView } from "./view.ts";

export interface RuleIndex {
  /** Orders of the rules that could hold, in no order, perhaps repeated. */
  candidates(view: MessageView): number[];
}

interface FacetIndex {
  readonly facet: Facet;
  readonly byKey: Map<string, number[]>;
  readonly all: number[];
}

interface MeasureIndex {
  readonly measure: Measure;
  /** Lowest minimum first. */
  readonly entries: { readonly minimum: number; readonly order: number }[];
}

const MEASURE_RANK = 7;

export function createRuleIndex(rules: readonly CompiledRule[]): RuleIndex {
  const facets = new Map<string, FacetIndex>();
  const measures = new Map<string, MeasureIndex>();
  const always: number[] = [];
  for (const rule of rules) {
    const keys = bestKeys(rule);
    if (keys === undefined) always.push(rule.order);
    for (const key of keys ?? []) {
      if (key.kind === "facet") addFacet(facets, key, rule.order);
      else addMeasure(measures, key, rule.order);
    }
  }
  for (const { entries } of measures.values()) entries.sort((a, b) => a.minimum - b.minimum);
  return {
    candidates(view) {
      const orders = [...always];
      for (const index of facets.values()) collectFacet(index, view, orders);
      for (const index of measures.values()) collectMeasure(index, view, orders);
      return orders;
    },
  };
}

function addFacet(
  facets: Map<string, FacetIndex>,
  { facet, keys }: IndexKey & { kind: "facet" },
  order: number,
): void {
  const index: FacetIndex = facets.get(facet.name) ?? { facet, byKey: new Map(), all: [] };
  facets.set(facet.name, index);
  index.all.push(order);
  for (const key of new Set(keys)) {
    const orders = index.byKey.get(key);
    if (orders === undefined) index.byKey.set(key, [order]);
    else orders.push(order);
  }
}

function addMeasure(
  measures: Map<string, MeasureIndex>,
  { measure, minimum }: IndexKey & { kind: "measure" },
  order: number,
): void {
  const index: MeasureIndex = measures.get(measure.name) ?? { measure, entries: [] };
  measures.set(measure.name, index);
  index.entries.push({ minimum, order });
}

function collectFacet({ facet, byKey, all }: FacetIndex, view: MessageView, orders: number[]): void {
  const { values, complete } = facetValues(facet, view);
  if (!complete) {
    for (const order of all) orders.push(order);
    return;
  }
  for (const value of values) {
    for (const order of byKey.get(value) ?? []) orders.push(order);
  }
}

function collectMeasure({ measure, entries }: MeasureIndex, view: MessageView, orders: number[]): void {
  const { value, complete } = measured(measure, view);
  for (const { minimum, order } of entries) {
    if (complete && (value === undefined || value < minimum)) return;
    orders.push(order);
  }
}

/** Keys of which the message must have one for the rule to hold; undefined: there are none. */
function bestKeys({ conditions, anyOf }: CompiledRule): readonly IndexKey[] | undefined {
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
