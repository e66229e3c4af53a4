/**
 * Predicate: one condition of a rule, compiled: yes, no or unknown, with evidence.
 *
 * Most predicates ask whether a message has one of some values of a *facet* (its sender's domain, the words of its
 * subject). The facet both answers the predicate and finds the rules that could hold (rule-index.ts), so that a rule
 * whose value the message lacks is never looked at.
 *
 * @module
 */
import type { Recipient } from "../../mail/message.ts";
import { FacetValues } from "./facet-values.ts";
import type { Fact, MessageView } from "./view.ts";

export type Result = "yes" | "no" | "unknown";

export interface Verdict {
  readonly result: Result;
  readonly evidence: string;
}

export interface Facet {
  /** Names its values among the facts of a view, so that nothing else may have it: two facets of one name are one. */
  readonly name: string;
  /** How few messages share a value: 1 an address, 9 nearly all. The index takes the lowest of a rule. */
  readonly rank: number;
  readonly needsMime: boolean;
  values(view: MessageView): FacetValues;
  /** For facets of recipients: the values of one of them; values() is their union. */
  valuesOf?(recipient: Recipient, view: MessageView): FacetValues;
  /** Lower-case name of the field that all values come from: without it there are none, with it all are known. */
  readonly field?: string | undefined;
  /** For facets of the header's fields, of which all values are known: those that the view's `before` may lack. */
  addedValues?(view: MessageView): readonly string[];
}

/** The largest number that a message has of a kind; undefined: none. `complete` false: there may be a larger one. */
export interface Measured {
  readonly value: number | undefined;
  readonly complete: boolean;
}

/** A number that rules compare with a lower bound. */
export interface Measure {
  /** As a facet's. */
  readonly name: string;
  readonly needsMime: boolean;
  measure(view: MessageView): Measured;
}

/** How the index finds the rule: it can hold only if the facet has one of the keys, or the measure reaches the minimum. */
export type IndexKey =
  | { readonly kind: "facet"; readonly facet: Facet; readonly keys: readonly string[] }
  | { readonly kind: "measure"; readonly measure: Measure; readonly minimum: number };

export interface Predicate {
  readonly name: string;
  /** Order of trial within a rule: cheap first. */
  readonly cost: number;
  readonly needsMime: boolean;
  readonly index: IndexKey | undefined;
  /** Judges the message; `recipient` given when `perRecipient`. */
  test(view: MessageView, recipient: Recipient): Verdict;
  readonly perRecipient: boolean;
}

export const NO: Verdict = { result: "no", evidence: "" };

export function yes(evidence: string): Verdict {
  return { result: "yes", evidence };
}

export function unknown(evidence: string): Verdict {
  return { result: "unknown", evidence };
}

/** The facet's values of this view, worked out once. */
export function facetValues(facet: Facet, view: MessageView): FacetValues {
  return facetFact(facet, view).value;
}

export function facetFact(facet: Facet, view: MessageView): Fact<FacetValues> {
  return view.fact(facet.name, facet, valuesIn);
}

function valuesIn(view: MessageView, facet: Facet): FacetValues {
  return facet.values(view);
}

/** True when what is known of all recipients is known of this one. */
export function isOnlyRecipient(recipient: Recipient, { allRecipients }: MessageView): boolean {
  return allRecipients.length === 1 && allRecipients[0] === recipient;
}

/** Holds when the message, or the recipient, has one of the keys. */
export function hasValue(name: string, facet: Facet, keys: readonly string[]): Predicate {
  const wanted = new FacetValues(keys, true);
  const { valuesOf } = facet;
  return {
    name,
    cost: facet.rank,
    needsMime: facet.needsMime,
    index: { kind: "facet", facet, keys: [...new Set(keys)] },
    perRecipient: valuesOf !== undefined,
    test(view, recipient) {
      const isOfMessage = valuesOf === undefined || isOnlyRecipient(recipient, view);
      const has = isOfMessage ? facetValues(facet, view) : valuesOf(recipient, view);
      const found = firstCommon(wanted, has);
      if (found !== undefined) return yes(found);
      return has.complete ? NO : unknown(MIME_UNKNOWN);
    },
  };
}

export const MIME_UNKNOWN = "the content could not be examined";

/** Holds when the measure is at least `minimum`. */
export function reaches(name: string, measure: Measure, minimum: number): Predicate {
  return {
    name,
    cost: 7,
    needsMime: measure.needsMime,
    index: { kind: "measure", measure, minimum },
    perRecipient: false,
    test(view) {
      const { value, complete: known } = measured(measure, view);
      if (value !== undefined && value >= minimum) return yes(String(value));
      return known ? NO : unknown(MIME_UNKNOWN);
    },
  };
}

/** The measure of this view, worked out once. */
export function measured(measure: Measure, view: MessageView): Measured {
  return measureFact(measure, view).value;
}

export function measureFact(measure: Measure, view: MessageView): Fact<Measured> {
  return view.fact(measure.name, measure, measureIn);
}

function measureIn(view: MessageView, measure: Measure): Measured {
  return measure.measure(view);
}

/** The first in the order of the rule, so that what other rules look for in the message changes no evidence. */
function firstCommon(wanted: FacetValues, has: FacetValues): string | undefined {
  if (has.values.length < wanted.values.length && !hasCommon(wanted, has.values)) return undefined;
  for (const value of wanted.values) if (has.has(value)) return value;
  return undefined;
}

function hasCommon(wanted: FacetValues, values: readonly string[]): boolean {
  for (const value of values) if (wanted.has(value)) return true;
  return false;
}
