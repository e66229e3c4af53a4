/**
 * Rule index: the rules that could hold for a message, found by what the message has.
 *
 * Each rule stands under its keys (index-keys.ts). A message lacks the keys of nearly all rules, and those it lacks are
 * never looked at. A rule without any predicate that has keys is always looked at. Rules are only ever added, so that
 * one index serves the rule sets of many snapshots: each knows which of the rules found are its own.
 *
 * @module
 */
import { type Facet, facetFact, type IndexKey, type Measure, measureFact } from "./predicate.ts";
import type { MessageView } from "./view.ts";

export interface RuleIndex {
  /** `keys` undefined: the rule is always looked at. */
  add(id: number, keys: readonly IndexKey[] | undefined): void;
  /** For the views of one message. */
  search(): CandidateSearch;
}

export interface CandidateSearch {
  /**
   * Ids of the rules that could hold and that no view given before brought, in no order, perhaps repeated. Of a view
   * made from another one, only what it has changed is looked at.
   */
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

/** A facet or a measure that rules stand under. */
interface Part {
  /** Gives the aspects of the view that what it found was worked out from. */
  collect(view: MessageView, ids: number[]): number;
}

export function createRuleIndex(): RuleIndex {
  const facets = new Map<string, FacetIndex>();
  const measures = new Map<string, MeasureIndex>();
  const parts: Part[] = [];
  const always: number[] = [];
  return {
    add(id, keys) {
      if (keys === undefined) always.push(id);
      for (const key of keys ?? []) {
        if (key.kind === "facet") addFacet(facets, parts, key, id);
        else addMeasure(measures, parts, key, id);
      }
    },
    search: () => createSearch(parts, always),
  };
}

function createSearch(parts: readonly Part[], always: readonly number[]): CandidateSearch {
  const searched = new Set<MessageView>();
  /** Aspects that each part was ever worked out from. */
  const aspects = new Int32Array(parts.length);
  const collect = (view: MessageView, ids: number[]) => {
    if (searched.has(view)) return;
    searched.add(view);
    if (view.before === undefined) for (const id of always) ids.push(id);
    else collect(view.before, ids);
    for (let place = 0; place < aspects.length; place++) {
      const of = aspects[place] as number;
      if (view.before !== undefined && (of & view.changed) === 0) continue;
      aspects[place] = of | (parts[place]?.collect(view, ids) ?? 0);
    }
  };
  return {
    candidates(view) {
      const ids: number[] = [];
      collect(view, ids);
      return ids;
    },
  };
}

function addFacet(
  facets: Map<string, FacetIndex>,
  parts: Part[],
  { facet, keys }: IndexKey & { kind: "facet" },
  id: number,
): void {
  let index = facets.get(facet.name);
  if (index === undefined) {
    const made: FacetIndex = { facet, byKey: new Map(), all: [] };
    parts.push({ collect: (view, ids) => collectFacet(made, view, ids) });
    facets.set(facet.name, made);
    index = made;
  }
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
  parts: Part[],
  { measure, minimum }: IndexKey & { kind: "measure" },
  id: number,
): void {
  let index = measures.get(measure.name);
  if (index === undefined) {
    const made: MeasureIndex = { measure, entries: [], sorted: true };
    parts.push({ collect: (view, ids) => collectMeasure(made, view, ids) });
    measures.set(measure.name, made);
    index = made;
  }
  index.entries.push({ minimum, id });
  index.sorted = false;
}

function collectFacet({ facet, byKey, all }: FacetIndex, view: MessageView, ids: number[]): number {
  const added = view.before === undefined ? undefined : facet.addedValues?.(view);
  if (added !== undefined) {
    collectValues(byKey, added, ids);
    return 0;
  }
  const { value, of } = facetFact(facet, view);
  if (!value.complete) for (const id of all) ids.push(id);
  else if (value.values.size > 0) collectValues(byKey, value.values, ids);
  return of;
}

function collectValues(byKey: FacetIndex["byKey"], values: Iterable<string>, ids: number[]): void {
  for (const value of values) {
    const found = byKey.get(value);
    if (typeof found === "number") ids.push(found);
    else if (found !== undefined) for (const id of found) ids.push(id);
  }
}

function collectMeasure(index: MeasureIndex, view: MessageView, ids: number[]): number {
  const { value: found, of } = measureFact(index.measure, view);
  const { value, complete } = found;
  if (!index.sorted) index.entries.sort((a, b) => a.minimum - b.minimum);
  index.sorted = true;
  for (const { minimum, id } of index.entries) {
    if (complete && (value === undefined || value < minimum)) break;
    ids.push(id);
  }
  return of;
}
