/**
 * Run: one message through the rules in order. Later rules see what earlier ones did.
 *
 * The recipients a rule matches are split off into a copy of their own (bifurcation), which the actions change; the
 * rest goes on as it was. In the end copies that came out alike are one again.
 *
 * @module
 */
import type { Recipient } from "../../mail/message.ts";
import type { DomainTable } from "../../snapshot/domain-table.ts";
import { finishCopies, firstCopy, isOpen, receivers, receivingNow, type WorkingCopy } from "./copy.ts";
import { type Judgement, judgeRule } from "./judge.ts";
import type { PolicyDecision, PolicyInput, PredicateResult, RuleTrace } from "./mod.ts";
import type { CompiledRule, StoredRule } from "./rule.ts";
import type { RuleIndex } from "./rule-index.ts";
import { isActive, NO_PLACE } from "./rules-in-force.ts";
import { createTextFacts } from "./text-facts.ts";
import { traceInactive, traceRule } from "./trace.ts";
import { createView, type MessageView } from "./view.ts";
import type { WordScan } from "./word-scan.ts";

export interface RuleBook {
  readonly rules: readonly StoredRule[];
  /** Places in `rules` by id, of those in force then. An id beyond the end is of another rule set. */
  placesAt(now: number): Int32Array;
  readonly index: RuleIndex;
  readonly wordScan: WordScan;
  compile(rule: StoredRule): CompiledRule;
  readonly domains: DomainTable;
}

interface ViewedCopy {
  readonly copy: WorkingCopy;
  readonly view: MessageView;
}

/** `explain`: every rule is tried and traced, with all of its predicates. */
export function runRules(book: RuleBook, input: PolicyInput, explain: boolean): PolicyDecision {
  const run = createRun(book, input, explain);
  const queue = explain ? allOrders(book.rules.length) : createOrderQueue();
  queue.add(run.candidates());
  for (let order = queue.next(); order !== undefined; order = queue.next()) {
    const rule = book.rules[order];
    const step = rule === undefined ? "unchanged" : run.step(book.compile(rule));
    if (step === "changed") queue.add(run.candidates());
    if (step !== "changed" && step !== "unchanged") return step;
  }
  return run.finish();
}

/** The state between rules. */
function createRun(book: RuleBook, input: PolicyInput, explain: boolean) {
  const { now } = input;
  const places = book.placesAt(now);
  const search = book.index.search();
  const trace: RuleTrace[] = [];
  const logTexts: string[] = [];
  let viewed = firstViews(book, input);
  const skip = (rule: CompiledRule) => {
    if (explain) trace.push(traceInactive(rule));
    return "unchanged" as const;
  };
  return {
    /** Places of rules that could hold for any copy as it is now, and that were not named before; perhaps repeated. */
    candidates(): number[] {
      const found: number[] = [];
      if (explain) return found;
      for (const { copy, view } of viewed) {
        if (isOpen(copy)) addPlaces(search.candidates(view), places, found);
      }
      return found;
    },
    /** Tries the rule on every open copy, and acts. A decision: the message must wait. */
    step(rule: CompiledRule): "changed" | "unchanged" | PolicyDecision {
      if (!isActive(rule.entry, now)) return skip(rule);
      const judgements = viewed.map(({ copy, view }) => judgeCopy(rule, copy, view, explain));
      const ruleTrace = traceRule(rule, judgements);
      if (explain || ruleTrace.outcome !== "not-matched") trace.push(ruleTrace);
      if (mustWait(rule, ruleTrace)) return defer(rule, findCause(rule, viewed), trace);
      if (rule.entry.mode === "Audit" || judgements.every(matchesNobody)) return "unchanged";
      if (rule.actions.logEventText !== undefined) logTexts.push(rule.actions.logEventText);
      const before = viewed;
      viewed = nextViews(actOnCopies(rule, before, judgements), before);
      return sameViews(before, viewed) ? "unchanged" : "changed";
    },
    finish(): PolicyDecision {
      const copies = finishCopies(viewed.map(({ copy }) => copy));
      return { outcome: "done", deferReason: undefined, copies, trace, logTexts };
    },
  };
}

function addPlaces(ids: readonly number[], places: Int32Array, found: number[]): void {
  for (const id of ids) {
    const place = places[id] ?? NO_PLACE;
    if (place !== NO_PLACE) found.push(place);
  }
}

function mustWait({ entry }: CompiledRule, { outcome }: RuleTrace): boolean {
  return outcome === "error" && entry.mode === "Enforce" && entry.onError === "Defer";
}

function matchesNobody({ matched }: Judgement): boolean {
  return matched.length === 0;
}

function firstViews(
  { wordScan, domains }: RuleBook,
  { message, mime, recipients }: PolicyInput,
): ViewedCopy[] {
  const copy = firstCopy(message, recipients);
  const { header, stamps } = copy;
  const source = { message, mime, domains, texts: createTextFacts(wordScan) };
  return [{ copy, view: createView(source, { header, stamps, allRecipients: receivers([copy]) }) }];
}

/** A view of before serves a copy whose state is still the same; a new one is made from that with most in common. */
function nextViews(copies: readonly WorkingCopy[], before: readonly ViewedCopy[]): ViewedCopy[] {
  const views = before.map(({ view }) => view);
  const allRecipients = receiversAfter(copies, before);
  return copies.map((copy) => {
    const { header, stamps } = copy;
    const state = { header, stamps, allRecipients };
    const known = views.find((view) => view.shows(state));
    const view = known ?? (views.find((other) => other.header === header) ?? views[0])?.next(state);
    if (view === undefined) throw new Error("There is no copy to begin with");
    if (known === undefined) views.push(view);
    return { copy, view };
  });
}

/** True when later rules see nothing new. */
function sameViews(before: readonly ViewedCopy[], after: readonly ViewedCopy[]): boolean {
  return after.every(({ view }) => before.some((other) => other.view === view));
}

/** The list of before when it holds the same, in any order. */
function receiversAfter(copies: readonly WorkingCopy[], before: readonly ViewedCopy[]): readonly Recipient[] {
  const old = before[0]?.view.allRecipients ?? [];
  const isSame = copies.every((copy, at) => receiveAlike(copy, before[at]?.copy));
  if (isSame && copies.length === before.length) return old;
  const fresh = receivers(copies);
  if (fresh.length === old.length && fresh.every((recipient, index) => recipient === old[index])) return old;
  const known = new Set(old);
  return fresh.length === old.length && fresh.every((recipient) => known.has(recipient)) ? old : fresh;
}

function receiveAlike(copy: WorkingCopy, before: WorkingCopy | undefined): boolean {
  return copy.recipients === before?.recipients && copy.fate.kind === before.fate.kind;
}

function judgeCopy(rule: CompiledRule, copy: WorkingCopy, view: MessageView, explain: boolean): Judgement {
  const recipients = isOpen(copy) ? copy.recipients.map(({ recipient }) => recipient) : [];
  return judgeRule(rule, view, recipients, explain);
}

function actOnCopies(
  rule: CompiledRule,
  viewed: readonly ViewedCopy[],
  judgements: readonly Judgement[],
): WorkingCopy[] {
  const receiving = receivingNow(viewed.map(({ copy }) => copy));
  return viewed.flatMap(({ copy }, index) => {
    const { matched = [] } = judgements[index] ?? {};
    if (matched.length === 0) return [copy];
    const [split, rest] = splitCopy(copy, matched);
    const acted = rule.actions.run(split, receiving);
    for (const { recipients } of acted) if (recipients !== split.recipients) receiving.add(recipients);
    return rest === undefined ? acted : [...acted, rest];
  });
}

/** The copy of those who matched, and that of the others. */
function splitCopy(
  copy: WorkingCopy,
  matched: readonly Recipient[],
): readonly [WorkingCopy, WorkingCopy | undefined] {
  if (matched.length === copy.recipients.length) return [copy, undefined];
  const chosen = new Set(matched);
  const split = copy.recipients.filter(({ recipient }) => chosen.has(recipient));
  const rest = copy.recipients.filter(({ recipient }) => !chosen.has(recipient));
  return [{ ...copy, recipients: split }, rest.length === 0 ? undefined : { ...copy, recipients: rest }];
}

/** Tried again as without `explain`, which also tries predicates that do not matter. */
function findCause(rule: CompiledRule, viewed: readonly ViewedCopy[]): PredicateResult | undefined {
  const judgements = viewed.map(({ copy, view }) => judgeCopy(rule, copy, view, false));
  return judgements.find(({ cause }) => cause !== undefined)?.cause;
}

function defer(
  { entry }: CompiledRule,
  cause: PredicateResult | undefined,
  trace: readonly RuleTrace[],
): PolicyDecision {
  const why = cause === undefined ? "" : `: ${cause.predicate}: ${cause.evidence}`;
  const deferReason = `Rule "${entry.name}" cannot be evaluated${why}`;
  return { outcome: "defer", deferReason, copies: [], trace, logTexts: [] };
}

interface OrderQueue {
  next(): number | undefined;
  /** Orders already passed are not taken again. */
  add(orders: readonly number[]): void;
}

/** More at once are sorted, fewer put in their places. */
const FEW = 16;

/** Ascending, each once. */
function createOrderQueue(): OrderQueue {
  /** Descending: the next one is the last. */
  let pending: number[] = [];
  let last = -1;
  return {
    next() {
      const order = pending.pop();
      last = order ?? Number.POSITIVE_INFINITY;
      return order;
    },
    add(more) {
      if (more.length <= FEW) {
        for (const order of more) if (order > last) insertOnce(pending, order);
        return;
      }
      const all = new Set([...pending, ...more.filter((order) => order > last)]);
      pending = [...all].sort((a, b) => b - a);
    },
  };
}

function insertOnce(descending: number[], order: number): void {
  let at = descending.length;
  while (at > 0 && (descending[at - 1] as number) < order) at--;
  if (at > 0 && descending[at - 1] === order) return;
  descending.splice(at, 0, order);
}

function allOrders(size: number): OrderQueue {
  let at = 0;
  return { next: () => (at < size ? at++ : undefined), add: () => undefined };
}
