/**
 * Rule index: the rules that could hold for a message, found by what the message has.
 *
 * Each rule stands under its keys (index-keys.ts). A message lacks the keys of nearly all rules, and those it lacks are
 * never looked at. A rule without any predicate that has keys is always looked at. Rules are only ever added, so that
 * one index serves the rule sets of many snapshots: each knows which of the rules found are its own.
 *
 * @module
 */
import { type Facet, facetValues, type IndexKey, type Measure, measured } from "./predicate.ts";
import type { MessageView } from "./view.ts";

export interface RuleIndex {
  /** `keys` undefined: the rule is always looked at. */
  add(id: number, keys: readonly IndexKey[] | undefined): void;
  /** Ids of the rules that could hold, in no order, perhaps repeated. */
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
  /** Lowest minimum first, once sorted. */
  readonly entries: { readonly minimum: number; readonly id: number }[];
  sorted: boolean;
}

export function createRuleIndex(): RuleIndex {
  const facets = new Map<string, FacetIndex>();
  const measures = new Map<string, MeasureIndex>();
  const always: number[] = [];
  return {
    add(id, keys) {
      if (keys === undefined) always.push(id);
      for (const key of keys ?? []) {
        if (key.kind === "facet") addFacet(facets, key, id);
        else addMeasure(measures, key, id);
      }
    },
    candidates(view) {
      const ids = [...always];
      for (const index of facets.values()) collectFacet(index, view, ids);
      for (const index of measures.values()) collectMeasure(index, view, ids);
      return ids;
    },
  };
}

function addFacet(
  facets: Map<string, FacetIndex>,
  { facet, keys }: IndexKey & { kind: "facet" },
  id: number,
): void {
  const index: FacetIndex = facets.get(facet.name) ?? { facet, byKey: new Map(), all: [] };
  facets.set(facet.name, index);
  index.all.push(id);
  for (const key of keys) {
    const ids = index.byKey.get(key);
    if (ids === undefined) index.byKey.set(key, id);
    else if (typeof ids === "number") index.byKey.set(key, [ids, id]);
    else ids.push(id);
  }
}

function addMeasure(
  measures: Map<string, MeasureIndex>,
  { measure, minimum }: IndexKey & { kind: "measure" },
  id: number,
): void {
  const index: MeasureIndex = measures.get(measure.name) ?? { measure, entries: [], sorted: true };
  measures.set(measure.name, index);
  index.entries.push({ minimum, id });
  index.sorted = false;
}

function collectFacet({ facet, byKey, all }: FacetIndex, view: MessageView, ids: number[]): void {
  const { values, complete } = facetValues(facet, view);
  if (!complete) {
    for (const id of all) ids.push(id);
    return;
  }
  for (const value of values) {
    const found = byKey.get(value);
    if (typeof found === "number") ids.push(found);
    else for (const id of found ?? []) ids.push(id);
  }
}

function collectMeasure(index: MeasureIndex, view: MessageView, ids: number[]): void {
  const { value, complete } = measured(index.measure, view);
  if (!index.sorted) index.entries.sort((a, b) => a.minimum - b.minimum);
  index.sorted = true;
  for (const { minimum, id } of index.entries) {
    if (complete && (value === undefined || value < minimum)) return;
    ids.push(id);
  }
}
