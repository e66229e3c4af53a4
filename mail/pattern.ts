/**
 * Pattern: an administrator's regular expression, matched in time linear in the text, without case.
 *
 * The syntax is RE2's: no look-around, no back-references. checkPattern() says what is wrong with one,
 * compilePattern() throws on the same faults. See docs/decisions/0040-patterns-run-on-re2js.md.
 *
 * @module
 */
import { RE2JS } from "re2js";

export interface Pattern {
  readonly source: string;
  /** The text that matched, at most 64 characters of it, or undefined: no match. */
  test(text: string): string | undefined;
}

const MAX_EVIDENCE = 64;
/** Instructions that counted repeats may add; worst-case time grows with instructions times text. */
const MAX_EXPANSION = 128;
/** Looked at once, for the match and where it lies. */
const SHORT = 64;
const WINDOW = 4096;
const OVERLAP = 512;

/** The fault of a pattern in words, or undefined: it can be used. */
export function checkPattern(source: string): string | undefined {
  const result = parse(source);
  return typeof result === "string" ? result : undefined;
}

/** Throws when checkPattern() would find a fault. */
export function compilePattern(source: string): Pattern {
  const regexp = parse(source);
  if (typeof regexp === "string") throw new Error(`Cannot use pattern "${source}": ${regexp}`);
  return {
    source,
    test(text) {
      if (text.length <= SHORT) return findIn(regexp, text);
      return regexp.test(text) ? matchedText(regexp, text) : undefined;
    },
  };
}

function parse(source: string): RE2JS | string {
  let regexp: RE2JS;
  try {
    regexp = RE2JS.compile(source, RE2JS.CASE_INSENSITIVE);
  } catch (cause) {
    return explainFault(source, cause);
  }
  const size = regexp.programSize();
  const allowed = source.length + MAX_EXPANSION;
  if (size <= allowed) return regexp;
  return `its counted repeats expand to ${size} steps and at most ${allowed} are allowed: use smaller counts, * or +`;
}

function explainFault(source: string, cause: unknown): string {
  if (/\(\?<?[=!]/.test(source)) return "look-around is not supported: it cannot run in linear time";
  if (/\\[1-9]|\\k</.test(source)) return "back-references are not supported: they cannot run in linear time";
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.replace(/^error parsing regexp: /, "");
}

/**
 * Finding where a match lies is far slower than knowing that there is one, so a long text is first
 * narrowed to a window. A match that no window holds has the empty evidence "": it is still a match.
 */
function matchedText(regexp: RE2JS, text: string): string {
  for (let start = 0; start < text.length || start === 0; start += WINDOW - OVERLAP) {
    const window = text.length <= WINDOW ? text : text.slice(start, start + WINDOW);
    // Of a short text it is known already.
    if (window !== text && !regexp.test(window)) continue;
    return findIn(regexp, window) ?? "";
  }
  return "";
}

function findIn(regexp: RE2JS, text: string): string | undefined {
  const matcher = regexp.matcher(text);
  return matcher.find() ? capEvidence(matcher.group() ?? "") : undefined;
}

/** The first 64 characters, never half a surrogate pair. */
export function capEvidence(text: string): string {
  if (text.length <= MAX_EVIDENCE) return text;
  return text.slice(0, MAX_EVIDENCE).replace(/[\ud800-\udbff]$/, "");
}
