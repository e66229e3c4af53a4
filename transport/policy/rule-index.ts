/**
 * Rule index: the rules that could hold for a message, found by what the message has.
 *
 * Each rule stands under its keys (index-keys.ts). A message lacks the keys of nearly all rules, and those it lacks are never looked at. A rule without any predicate
 * that has keys is always looked at.
 *
 * @module
 */
import { type Facet, facetValues, type IndexKey, type Measure, measured } from "./predicate.ts";
import type { CompiledRule } from "./rule.ts";
import type { MessageView } from "./view.ts";

export interface RuleIndex {
  /** Places of the rules that could hold, in no order, perhaps repeated. */
  candidates(view: MessageView): number[];
}

interface FacetIndex {
  readonly facet: Facet;
  /** Most keys lead to one rule only, and a list for each would take most of the index. */
  readonly byKey: Map<string, number | number[]>;
  readonly all: number[];
}

interface MeasureIndex {
  readonly measure: Measure;
  /** Lowest minimum first. */
  readonly entries: { readonly minimum: number; readonly order: number }[];
}

export function createRuleIndex(rules: readonly CompiledRule[]): RuleIndex {
  const facets = new Map<string, FacetIndex>();
  const measures = new Map<string, MeasureIndex>();
  const always: number[] = [];
  for (const [order, { keys }] of rules.entries()) {
    if (keys === undefined) always.push(order);
    for (const key of keys ?? []) {
      if (key.kind === "facet") addFacet(facets, key, order);
      else addMeasure(measures, key, order);
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
  for (const key of keys) {
    const orders = index.byKey.get(key);
    if (orders === undefined) index.byKey.set(key, order);
    else if (typeof orders === "number") index.byKey.set(key, [orders, order]);
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
    const found = byKey.get(value);
    if (typeof found === "number") orders.push(found);
    else for (const order of found ?? []) orders.push(order);
  }
}

function collectMeasure({ measure, entries }: MeasureIndex, view: MessageView, orders: number[]): void {
  const { value, complete } = measured(measure, view);
  for (const { minimum, order } of entries) {
    if (complete && (value === undefined || value < minimum)) return;
    orders.push(order);
  }
}
