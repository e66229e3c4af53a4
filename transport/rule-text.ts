/**
 * RuleText: what rules did to a message, as JSON for the tracking log. Pure.
 *
 * What a rule says of every message is made once: its name, mode, outcome and actions. Of each message are the
 * predicates with what decided, and the recipients where those are not the event's.
 *
 * @module
 */
import type { PredicateResult, RuleTrace } from "./policy/mod.ts";

/** What a rule says of every message that it came to the same with. */
interface Known {
  readonly rule: string;
  readonly mode: RuleTrace["mode"];
  readonly outcome: RuleTrace["outcome"];
  readonly text: string;
}

/** By the rule's list of actions, which a compiled rule hands out again and again. */
const knownByActions = new WeakMap<readonly string[], Known>();

/** `"rules":[...]`. `recipientsOf`: whom the rule is about, undefined where those are the event's. */
export function formatRules(
  traces: readonly RuleTrace[],
  recipientsOf: (trace: RuleTrace) => readonly string[] | undefined,
): string {
  let text = '"rules":[';
  let separator = "";
  for (const trace of traces) {
    const recipients = recipientsOf(trace);
    const about = recipients === undefined ? "" : `"recipients":${JSON.stringify(recipients)},`;
    text += `${separator}{${about}${alwaysAlike(trace)},"predicates":[${formatPredicates(trace.predicates)}]}`;
    separator = ",";
  }
  return `${text}]`;
}

function alwaysAlike({ rule, mode, outcome, actions }: RuleTrace): string {
  const known = knownByActions.get(actions);
  if (known?.rule === rule && known.mode === mode && known.outcome === outcome) return known.text;
  const text = JSON.stringify({ rule, mode, outcome, actions }).slice(1, -1);
  knownByActions.set(actions, { rule, mode, outcome, text });
  return text;
}

function formatPredicates(results: readonly PredicateResult[]): string {
  let text = "";
  for (const { predicate, result, evidence } of results) {
    const why = evidence === "" ? "" : ` (${insideQuotes(evidence)})`;
    text += `${text === "" ? '"' : ',"'}${nameInsideQuotes(predicate)}: ${result}${why}"`;
  }
  return text;
}

/** Of predicates: there are as many as the schema has. */
const knownNames = new Map<string, string>();

function nameInsideQuotes(name: string): string {
  const known = knownNames.get(name);
  if (known !== undefined) return known;
  const text = insideQuotes(name);
  knownNames.set(name, text);
  return text;
}

function insideQuotes(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** `subjectContainsWords: yes (invoice)`. */
export function describePredicate({ predicate, result, evidence }: PredicateResult): string {
  return `${predicate}: ${result}${evidence ? ` (${evidence})` : ""}`;
}
