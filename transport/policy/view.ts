/**
 * View: what rules may know of one working copy of a message, each fact worked out once and only when asked for.
 *
 * Facts of the copy (header, stamps, recipients) live in a view of their own state; facts of texts (which words they
 * hold, whether a pattern matches) live in `texts`, shared by all views of one message.
 *
 * @module
 */
import { type Address, formatAddress } from "../../mail/address.ts";
import { parseAddressList } from "../../mail/address-list.ts";
import { decodeHeaderText } from "../../mail/encoded-word.ts";
import { type HeaderField, headerValues } from "../../mail/header.ts";
import type { Message, Recipient } from "../../mail/message.ts";
import type { MimeSummary } from "../../mail/mime.ts";
import type { Pattern } from "../../mail/pattern.ts";
import type { DomainTable } from "../../snapshot/domain-table.ts";
import { composeText, foldText } from "./fold.ts";
import type { ScanResult, WordScan } from "./word-scan.ts";

/** The part of a copy's state that predicates look at. */
export interface ViewState {
  readonly header: readonly HeaderField[];
  readonly stamps: Readonly<Record<string, string>>;
  /** Everybody who still gets the message, over all of its copies. */
  readonly allRecipients: readonly Recipient[];
}

export interface MessageView extends ViewState {
  readonly message: Message;
  readonly mime: MimeSummary | undefined;
  readonly domains: DomainTable;
  readonly texts: TextFacts;
  /** The value of `compute`, worked out once for each key. */
  memo<T>(key: object | string, compute: () => T): T;
  /** Decoded, composed values of all fields of that lower-case name. */
  headerTexts(name: string): readonly string[];
  /** Addresses in all fields of that lower-case name. */
  headerAddresses(name: string): readonly Address[];
}

export interface ViewSource {
  readonly message: Message;
  readonly mime: MimeSummary | undefined;
  readonly domains: DomainTable;
  readonly texts: TextFacts;
}

export function createView(source: ViewSource, state: ViewState): MessageView {
  const facts = new Map<object | string, unknown>();
  const view: MessageView = {
    ...source,
    ...state,
    memo<T>(key: object | string, compute: () => T): T {
      // The key names the computation, so what is stored under it has the computation's type.
      if (facts.has(key)) return facts.get(key) as T;
      const value = compute();
      facts.set(key, value);
      return value;
    },
    headerTexts: (name) =>
      view.memo(`text:${name}`, () =>
        headerValues(state.header, name).map((value) => composeText(decodeHeaderText(value))),
      ),
    headerAddresses: (name) =>
      view.memo(`address:${name}`, () => headerValues(state.header, name).flatMap(parseAddressList)),
  };
  return view;
}

/** An address as text for word and pattern predicates. */
export function addressText(address: Address): string {
  return composeText(formatAddress(address));
}

/** What is known of texts. Texts are composed (NFC). */
export interface TextFacts {
  scan(text: string): ScanResult;
  /** The matched text, or undefined. */
  match(pattern: Pattern, text: string): string | undefined;
}

export function createTextFacts(wordScan: WordScan): TextFacts {
  const scans = new Map<string, ScanResult>();
  const matches = new Map<Pattern, Map<string, string | undefined>>();
  return {
    scan(text) {
      const known = scans.get(text);
      if (known !== undefined) return known;
      const result = wordScan.scan(foldText(text));
      scans.set(text, result);
      return result;
    },
    match(pattern, text) {
      const known = matches.get(pattern) ?? new Map<string, string | undefined>();
      if (known.has(text)) return known.get(text);
      const evidence = pattern.test(text);
      matches.set(pattern, known.set(text, evidence));
      return evidence;
    },
  };
}
