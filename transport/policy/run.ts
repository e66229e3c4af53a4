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
import {
  finishCopies,
  firstCopy,
  isOpen,
  Receiving,
  receivers,
  recipientsOf,
  type WorkingCopy,
} from "./copy.ts";
import { type Judgement, judgeRule, NO_JUDGEMENT } from "./judge.ts";
import type { PolicyDecision, PolicyInput, PredicateResult, RuleTrace } from "./mod.ts";
import { OrderQueue } from "./order-queue.ts";
import type { CompiledRule, StoredRule } from "./rule.ts";
import type { CandidateSearch, Found, RuleIndex } from "./rule-index.ts";
import { isActive } from "./rules-in-force.ts";
import { createTextFacts } from "./text-facts.ts";
import { traceInactive, traceRule } from "./trace.ts";
import { createView, type MessageView, type ViewState } from "./view.ts";
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
  /** Whom rules judge: nobody of a copy that is closed. */
  readonly judged: readonly Recipient[];
}

/** `explain`: every rule is tried and traced, with all of its predicates. */
export function runRules(book: RuleBook, input: PolicyInput, explain: boolean): PolicyDecision {
  const run = new Run(book, input, explain);
  const places = book.placesAt(input.now);
  const orders = explain ? allOrders(book.rules.length) : new OrderQueue(places);
  run.findCandidates(orders);
  for (let order = orders.next(); order !== undefined; order = orders.next()) {
    const rule = book.rules[order];
    const step = rule === undefined ? "unchanged" : run.step(book.compile(rule));
    if (step === "changed") run.findCandidates(orders);
    else if (step !== "unchanged") return step;
  }
  return run.finish();
}

/** The state between rules. */
class Run {
  readonly #now: number;
  readonly #explain: boolean;
  readonly #search: CandidateSearch;
  readonly #trace: RuleTrace[] = [];
  readonly #logTexts: string[] = [];
  #viewed: readonly ViewedCopy[];

  constructor(book: RuleBook, input: PolicyInput, explain: boolean) {
    this.#now = input.now;
    this.#explain = explain;
    this.#search = book.index.search();
    this.#viewed = [firstView(book, input)];
  }

  /** Rules that could hold for any copy as it is now, and that were not named before; perhaps repeated. */
  findCandidates(found: Found): void {
    if (this.#explain) return;
    for (const { copy, view } of this.#viewed) if (isOpen(copy)) this.#search.candidates(view, found);
  }

  /** Tries the rule on every open copy, and acts. A decision: the message must wait. */
  step(rule: CompiledRule): "changed" | "unchanged" | PolicyDecision {
    if (!isActive(rule.entry, this.#now)) return this.#skip(rule);
    const viewed = this.#viewed;
    const judgements = viewed.map(({ view, judged }) => judgeRule(rule, view, judged, this.#explain));
    if (!this.#explain && judgements.every(isOfNobody)) return "unchanged";
    const ruleTrace = traceRule(rule, judgements);
    if (this.#explain || ruleTrace.outcome !== "not-matched") this.#trace.push(ruleTrace);
    if (mustWait(rule, ruleTrace)) return defer(rule, findCause(rule, viewed), this.#trace);
    if (rule.entry.mode === "Audit" || judgements.every(matchesNobody)) return "unchanged";
    if (rule.actions.logEventText !== undefined) this.#logTexts.push(rule.actions.logEventText);
    this.#viewed = nextViews(actOnCopies(rule, viewed, judgements), viewed);
    return sameViews(viewed, this.#viewed) ? "unchanged" : "changed";
  }

  finish(): PolicyDecision {
    const copies = finishCopies(this.#viewed);
    return {
      outcome: "done",
      deferReason: undefined,
      copies,
      trace: this.#trace,
      logTexts: this.#logTexts,
    };
  }

  #skip(rule: CompiledRule): "unchanged" {
    if (this.#explain) this.#trace.push(traceInactive(rule));
    return "unchanged";
  }
}

function mustWait({ entry }: CompiledRule, { outcome }: RuleTrace): boolean {
  return outcome === "error" && entry.mode === "Enforce" && entry.onError === "Defer";
}

function isOfNobody(judgement: Judgement): boolean {
  return judgement === NO_JUDGEMENT;
}

function matchesNobody({ matched }: Judgement): boolean {
  return matched.length === 0;
}

function firstView({ wordScan, domains }: RuleBook, { message, mime, recipients }: PolicyInput): ViewedCopy {
  const copy = firstCopy(message, recipients);
  const { header, stamps } = copy;
  const source = { message, mime, domains, texts: createTextFacts(wordScan) };
  const view = createView(source, { header, stamps, allRecipients: recipients });
  return { copy, view, judged: recipients };
}

/** A view of before serves a copy whose state is still the same; a new one is made from that with most in common. */
function nextViews(copies: readonly WorkingCopy[], before: readonly ViewedCopy[]): ViewedCopy[] {
  const allRecipients = receiversAfter(copies, before);
  const known = before.slice();
  return copies.map((copy, at) => {
    const { header, stamps } = copy;
    const state = { header, stamps, allRecipients };
    const view = findView(state, known) ?? nearest(header, known).next(state);
    const viewed = { copy, view, judged: judgedOf(copy, before[at]) };
    if (copies.length > 1) known.push(viewed);
    return viewed;
  });
}

function findView(state: ViewState, all: readonly ViewedCopy[]): MessageView | undefined {
  for (const { view } of all) if (view.shows(state)) return view;
  return undefined;
}

function nearest(header: WorkingCopy["header"], all: readonly ViewedCopy[]): MessageView {
  for (const { view, copy } of all) if (copy.header === header) return view;
  const first = all[0];
  if (first === undefined) throw new Error("There is no copy to begin with");
  return first.view;
}

const NOBODY: readonly Recipient[] = [];

/** The same list where it holds the same. */
function judgedOf(copy: WorkingCopy, before: ViewedCopy | undefined): readonly Recipient[] {
  if (!isOpen(copy)) return NOBODY;
  const isSame = before !== undefined && isOpen(before.copy) && copy.recipients === before.copy.recipients;
  return isSame ? before.judged : recipientsOf(copy);
}

/** True when later rules see nothing new. */
function sameViews(before: readonly ViewedCopy[], after: readonly ViewedCopy[]): boolean {
  for (const { view } of after) {
    if (view !== before[0]?.view && !before.some((other) => other.view === view)) return false;
  }
  return true;
}

/** The list of before when it holds the same, in any order. */
function receiversAfter(copies: readonly WorkingCopy[], before: readonly ViewedCopy[]): readonly Recipient[] {
  const old = before[0]?.view.allRecipients ?? [];
  if (allReceiveAlike(copies, before)) return old;
  const fresh = receivers(copies);
  if (fresh.length === old.length && fresh.every((recipient, index) => recipient === old[index])) return old;
  const known = new Set(old);
  return fresh.length === old.length && fresh.every((recipient) => known.has(recipient)) ? old : fresh;
}

function allReceiveAlike(copies: readonly WorkingCopy[], before: readonly ViewedCopy[]): boolean {
  if (copies.length !== before.length) return false;
  for (let at = 0; at < copies.length; at++) {
    const [one, old] = [copies[at], before[at]?.copy];
    if (one?.recipients !== old?.recipients || one?.fate.kind !== old?.fate.kind) return false;
  }
  return true;
}

function actOnCopies(
  rule: CompiledRule,
  viewed: readonly ViewedCopy[],
  judgements: readonly Judgement[],
): WorkingCopy[] {
  const receiving = new Receiving(viewed);
  const [first, ...others] = viewed.map(({ copy }, at) => {
    const { matched } = judgements[at] ?? NO_JUDGEMENT;
    return matched.length === 0 ? [copy] : actOnCopy(rule, copy, matched, receiving);
  });
  return others.length === 0 ? (first ?? []) : [first ?? [], ...others].flat();
}

function actOnCopy(
  { actions }: CompiledRule,
  copy: WorkingCopy,
  matched: readonly Recipient[],
  receiving: Receiving,
): WorkingCopy[] {
  const [split, rest] = splitCopy(copy, matched);
  const acted = actions.run(split, receiving);
  for (const { recipients } of acted) if (recipients !== split.recipients) receiving.add(recipients);
  return rest === undefined ? acted : [...acted, rest];
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
  const judgements = viewed.map(({ view, judged }) => judgeRule(rule, view, judged, false));
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

interface Orders extends Found {
  next(): number | undefined;
}

function allOrders(size: number): Orders {
  let at = 0;
  return { next: () => (at < size ? at++ : undefined), add: () => undefined };
}
