/**
 * Rule index: the rules that could hold for a message, found by what the message has.
 *
 * Each rule stands under its keys (index-keys.ts). A message lacks the keys of nearly all rules, and those it lacks are
 * never looked at: a facet of a header field is asked only when the message has the field. A rule without any predicate
 * that has keys is always looked at. Rules are only ever added, so that one index serves the rule sets of many
 * snapshots: each knows which of the rules found are its own.
 *
 * @module
 */
import type { HeaderField } from "../../mail/header.ts";
import { fieldName, HEADER } from "./aspects.ts";
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
   * Names the rules that could hold and that no view given before brought, in no order, perhaps repeated. Of a view
   * made from another one, only what it has changed is looked at.
   */
  candidates(view: MessageView, found: Found): void;
}

/** Where the ids of rules go. */
export interface Found {
  add(id: number): void;
}

interface FacetIndex {
  readonly facet: Facet;
  /** Most keys lead to one rule only, and a list for each would take most of the index. */
  readonly byKey: Map<string, number | number[]>;
  readonly all: number[];
  /** The last one that asked it. */
  look: number;
}

interface MeasureIndex {
  readonly measure: Measure;
  /** Lowest minimum first, once sorted. */
  readonly entries: { readonly minimum: number; readonly id: number }[];
  sorted: boolean;
}

interface Parts {
  readonly always: number[];
  readonly facets: FacetIndex[];
  readonly measures: MeasureIndex[];
  /** Facets whose values come from one field of the header, by its name. */
  readonly ofField: Map<string, FacetIndex[]>;
  /** Counts looks at the fields of a view. */
  looks: number;
}

export function createRuleIndex(): RuleIndex {
  const facets = new Map<string, FacetIndex>();
  const measures = new Map<string, MeasureIndex>();
  const parts: Parts = { always: [], facets: [], measures: [], ofField: new Map(), looks: 0 };
  return {
    add(id, keys) {
      if (keys === undefined) parts.always.push(id);
      for (const key of keys ?? []) {
        if (key.kind === "facet") addFacet(facets, parts, key, id);
        else addMeasure(measures, parts, key, id);
      }
    },
    search: () => new Search(parts),
  };
}

class Search implements CandidateSearch {
  readonly #parts: Parts;
  /** By the number of a view: it was looked at. */
  readonly #searched: boolean[] = [];
  /** Aspects that each facet, and then each measure, was ever worked out from. */
  readonly #aspects: number[];

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#aspects = new Array<number>(parts.facets.length + parts.measures.length).fill(0);
  }

  candidates(view: MessageView, found: Found): void {
    if (this.#searched[view.number] === true) return;
    this.#searched[view.number] = true;
    const { before } = view;
    if (before === undefined) addAll(this.#parts.always, found);
    else this.candidates(before, found);
    this.#collectFields(view, found);
    const { facets, measures } = this.#parts;
    for (let place = 0; place < facets.length; place++) {
      if (!this.#hasChanged(place, view)) continue;
      this.#note(place, collectFacet(facets[place] as FacetIndex, view, found));
    }
    for (let place = 0; place < measures.length; place++) {
      if (!this.#hasChanged(facets.length + place, view)) continue;
      this.#note(facets.length + place, collectMeasure(measures[place] as MeasureIndex, view, found));
    }
  }

  #hasChanged(place: number, { before, changed }: MessageView): boolean {
    return before === undefined || ((this.#aspects[place] ?? 0) & changed) !== 0;
  }

  #note(place: number, aspects: number): void {
    this.#aspects[place] = (this.#aspects[place] ?? 0) | aspects;
  }

  #collectFields(view: MessageView, found: Found): void {
    const { ofField } = this.#parts;
    if (ofField.size === 0) return;
    const { addedFields } = view;
    const look = ++this.#parts.looks;
    for (let at = 0; at < addedFields.length; at++) {
      const { lower } = fieldName((addedFields[at] as HeaderField).name);
      const facets = ofField.get(lower);
      if (facets !== undefined) for (const index of facets) this.#collectOnce(index, look, view, found);
    }
  }

  /** A message may have many fields of one name. */
  #collectOnce(index: FacetIndex, look: number, view: MessageView, found: Found): void {
    if (index.look === look) return;
    index.look = look;
    collectFacet(index, view, found);
  }
}

function addFacet(
  known: Map<string, FacetIndex>,
  parts: Parts,
  { facet, keys }: IndexKey & { kind: "facet" },
  id: number,
): void {
  const index = known.get(facet.name) ?? createFacet(facet, parts);
  known.set(facet.name, index);
  index.all.push(id);
  for (const key of keys) {
    const ids = index.byKey.get(key);
    if (ids === undefined) index.byKey.set(key, id);
    else if (typeof ids === "number") index.byKey.set(key, [ids, id]);
    else ids.push(id);
  }
}

function createFacet(facet: Facet, { facets, ofField }: Parts): FacetIndex {
  const index: FacetIndex = { facet, byKey: new Map(), all: [], look: 0 };
  const { field } = facet;
  if (field === undefined) facets.push(index);
  else ofField.set(field, [...(ofField.get(field) ?? []), index]);
  return index;
}

function addMeasure(
  known: Map<string, MeasureIndex>,
  { measures }: Parts,
  { measure, minimum }: IndexKey & { kind: "measure" },
  id: number,
): void {
  let index = known.get(measure.name);
  if (index === undefined) {
    index = { measure, entries: [], sorted: true };
    measures.push(index);
    known.set(measure.name, index);
  }
  index.entries.push({ minimum, id });
  index.sorted = false;
}

function collectFacet({ facet, byKey, all }: FacetIndex, view: MessageView, found: Found): number {
  if (facet.addedValues !== undefined) {
    collectValues(byKey, facet.addedValues(view), found);
    // Of every later view those added are asked for, by what the header's change sets.
    return HEADER;
  }
  const { value, of } = facetFact(facet, view);
  if (value.complete) collectValues(byKey, value.values, found);
  else addAll(all, found);
  return of;
}

function collectValues(byKey: FacetIndex["byKey"], values: readonly string[], found: Found): void {
  for (let at = 0; at < values.length; at++) {
    const ids = byKey.get(values[at] as string);
    if (typeof ids === "number") found.add(ids);
    else if (ids !== undefined) addAll(ids, found);
  }
}

function collectMeasure(index: MeasureIndex, view: MessageView, found: Found): number {
  const { value: measured, of } = measureFact(index.measure, view);
  const { value, complete } = measured;
  if (!index.sorted) index.entries.sort((a, b) => a.minimum - b.minimum);
  index.sorted = true;
  for (const { minimum, id } of index.entries) {
    if (complete && (value === undefined || value < minimum)) break;
    found.add(id);
  }
  return of;
}

function addAll(ids: readonly number[], found: Found): void {
  for (let at = 0; at < ids.length; at++) found.add(ids[at] as number);
}
