/** Text sources: where words and patterns are looked for, and the two predicates on them. */
import type { Recipient } from "../../mail/message.ts";
import { capEvidence } from "../../mail/pattern.ts";
import { FacetValues, NONE, unite } from "./facet-values.ts";
import type { CompiledPattern, FactoryContext } from "./factory.ts";
import {
  type Facet,
  hasValue,
  isOnlyRecipient,
  MIME_UNKNOWN,
  NO,
  type Predicate,
  unknown,
  type Verdict,
  yes,
} from "./predicate.ts";
import type { MessageView } from "./view.ts";

export interface Texts {
  readonly texts: readonly string[];
  /** False: there may be more text, which cannot be known now. */
  readonly complete: boolean;
}

export interface TextSource {
  /** Two sources of one name are one. */
  readonly name: string;
  readonly needsMime: boolean;
  /** As a facet's. */
  readonly field?: string;
  texts(view: MessageView): Texts;
  /** For texts of recipients: those of one of them; texts() is their union. */
  textsOf?(recipient: Recipient, view: MessageView): readonly string[];
}

/** Any of the words, whole and without case. */
export function containsWords(
  name: string,
  source: TextSource,
  words: readonly string[],
  context: FactoryContext,
): Predicate {
  const keys = words.map((word) => context.addWord(word)).filter((word) => word.length > 0);
  const predicate = hasValue(name, scanFacet("words", source), keys);
  return {
    ...predicate,
    test: (view, recipient) => {
      const verdict = predicate.test(view, recipient);
      const { result, evidence } = verdict;
      const shown = capEvidence(evidence);
      return shown === evidence ? verdict : { result, evidence: shown };
    },
  };
}

/** Any of the patterns. */
export function matchesPatterns(
  name: string,
  source: TextSource,
  sources: readonly string[],
  context: FactoryContext,
): Predicate {
  const patterns = sources.map((pattern) => context.compilePattern(pattern));
  const { textsOf } = source;
  const key = factKey(source);
  return {
    name,
    cost: 8,
    needsMime: source.needsMime,
    index: literalIndex(source, patterns),
    perRecipient: textsOf !== undefined,
    test(view, recipient): Verdict {
      const { texts, complete } =
        textsOf === undefined || isOnlyRecipient(recipient, view)
          ? sourceTexts(source, key, view)
          : { texts: textsOf(recipient, view), complete: true };
      let undecided = complete ? NO : unknown(MIME_UNKNOWN);
      for (const text of texts) {
        const verdict = matchText(patterns, text, view);
        if (verdict.result === "yes") return verdict;
        if (verdict.result === "unknown") undecided = verdict;
      }
      return undecided;
    },
  };
}

/** A pattern that cannot be built makes the answer unknown, unless another one matches. */
function matchText(patterns: readonly CompiledPattern[], text: string, { texts }: MessageView): Verdict {
  let verdict = NO;
  for (const { literal, build } of patterns) {
    if (literal !== undefined && !texts.scan(text).literals.has(literal)) continue;
    const pattern = build();
    if (typeof pattern === "string") {
      verdict = unknown(pattern);
      continue;
    }
    const found = texts.match(pattern, text);
    if (found !== undefined) return yes(maskNumbers(found));
  }
  return verdict;
}

/** Evidence goes to logs: a long number (a card, an account, a telephone) is shown by its shape only. */
function maskNumbers(evidence: string): string {
  const digits = evidence.replace(/\P{Nd}+/gu, "");
  return digits.length > 6 ? evidence.replace(/\p{Nd}/gu, "#") : evidence;
}

function literalIndex(source: TextSource, patterns: readonly CompiledPattern[]): Predicate["index"] {
  const keys = patterns.flatMap(({ literal }) => literal ?? []);
  if (keys.length < patterns.length) return undefined;
  return { kind: "facet", facet: scanFacet("literals", source), keys };
}

/** The words or literals, of all that rules look for, which the source holds. */
function scanFacet(what: "words" | "literals", source: TextSource): Facet {
  const { textsOf, field, needsMime } = source;
  const key = factKey(source);
  const facet: Facet = {
    name: `${what}:${source.name}`,
    rank: 5,
    needsMime,
    field,
    values(view) {
      const { texts, complete } = sourceTexts(source, key, view);
      const found = scanAll(what, texts, view);
      return complete ? found : new FacetValues(found.values, false);
    },
  };
  if (textsOf === undefined) return facet;
  return { ...facet, valuesOf: (recipient, view) => scanAll(what, textsOf(recipient, view), view) };
}

function scanAll(what: "words" | "literals", texts: readonly string[], view: MessageView): FacetValues {
  const [only, second] = texts;
  if (only === undefined) return NONE;
  if (second === undefined) return view.texts.scan(only)[what];
  return unite(texts.map((text) => view.texts.scan(text)[what]));
}

function factKey({ name }: TextSource): string {
  return `source:${name}`;
}

/** `key`: factKey() of the source. */
function sourceTexts(source: TextSource, key: string, view: MessageView): Texts {
  // What a field holds is a fact of the view already.
  if (source.field !== undefined) return source.texts(view);
  return view.fact(key, source, textsIn).value;
}

function textsIn(view: MessageView, source: TextSource): Texts {
  return source.texts(view);
}
