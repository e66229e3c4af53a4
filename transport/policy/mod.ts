/** Door of policy: transport rules on one message. Pure; the same explanation feeds log, trace and `explain`. */
import type { Address } from "../../mail/address.ts";
import type { Message, Priority, Recipient } from "../../mail/message.ts";
import type { MimeSummary } from "../../mail/mime.ts";
import type { DomainTable } from "../../snapshot/domain-table.ts";
import type { RuleEntry } from "../../snapshot/schema.ts";

export { compileRules, type RuleDeps } from "./compile.ts";
export type { RegexpEngine } from "./rule.ts";

/** What glue must do to the content of a copy, in order. */
export type ContentEdit =
  | { readonly kind: "setHeader"; readonly name: string; readonly value: string }
  | { readonly kind: "removeHeader"; readonly name: string }
  | { readonly kind: "prependSubject"; readonly text: string }
  | { readonly kind: "addAddress"; readonly field: "To" | "Cc"; readonly address: Address }
  | {
      readonly kind: "disclaimer";
      readonly text: string;
      readonly html: string;
      readonly location: "Append" | "Prepend";
      readonly fallbackAction: "Wrap" | "Ignore" | "Reject";
    };

/**
 * Recipients that share one fate and one content. A redirected copy may have `added` ones only. Of a rejected copy,
 * `recipients` are those the sender wrote to, also when a rule had redirected them.
 */
export interface PolicyCopy {
  readonly recipients: readonly Recipient[];
  readonly edits: readonly ContentEdit[];
  readonly fate:
    | { readonly kind: "deliver" }
    | { readonly kind: "reject"; readonly status: string; readonly text: string }
    | { readonly kind: "delete" }
    | { readonly kind: "quarantine" };
  readonly connectorOverride: string | undefined;
  readonly requireTls: boolean;
  readonly priority: Priority;
  readonly stamps: Readonly<Record<string, string>>;
  /** Recipients that rules added or redirected to; they must be resolved again. Empty unless the fate is "deliver". */
  readonly added: readonly Recipient[];
}

export interface PredicateResult {
  readonly predicate: string;
  readonly result: "yes" | "no" | "unknown";
  /** The value that decided: the word found, the address that matched. Never body text beyond the matched word. */
  readonly evidence: string;
}

export interface RuleTrace {
  readonly rule: string;
  readonly mode: "Enforce" | "Audit";
  readonly outcome: "matched" | "not-matched" | "excepted" | "inactive" | "error";
  /** Empty in a rule that has no conditions, or that an earlier rule's end kept from being tried. */
  readonly predicates: readonly PredicateResult[];
  /** Names of the actions taken (or, in Audit, that would have been). */
  readonly actions: readonly string[];
  readonly recipients: readonly Recipient[];
}

export interface PolicyInput {
  readonly message: Message;
  readonly recipients: readonly Recipient[];
  /** Present when RuleSet.needsMime; undefined otherwise. */
  readonly mime: MimeSummary | undefined;
  readonly now: number;
}

export interface PolicyDecision {
  /** "defer": a rule with onError Defer could not be evaluated; try again later. */
  readonly outcome: "done" | "defer";
  readonly deferReason: string | undefined;
  readonly copies: readonly PolicyCopy[];
  /** Rules that matched, were excepted, or failed; all of them when explain is asked for. */
  readonly trace: readonly RuleTrace[];
  /** logEventText of the rules that matched, in order. */
  readonly logTexts: readonly string[];
}

/** Compiled and indexed once per snapshot. */
export interface RuleSet {
  readonly size: number;
  /** Some active rule looks at text or attachments. */
  readonly needsMime: boolean;
  apply(input: PolicyInput, options?: { readonly explain?: boolean }): PolicyDecision;
  /** The rule set of other entries. What is in both, the very same objects, is not compiled again; this one stays as it is. */
  next(entries: readonly RuleEntry[], domains: DomainTable): RuleSet;
}
