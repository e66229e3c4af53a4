/**
 * Required literal of a pattern: a text that every match holds, so that a pattern whose literal is absent need not run.
 *
 * Reads only what is plain at the top level of the pattern and gives up on the rest: a literal missed costs time,
 * a literal that is not required would cost a match.
 *
 * @module
 */
import { foldText } from "./fold.ts";

const MIN_LENGTH = 3;
/** \d and its like: one character or none, not a literal, but what follows is still at the top level. */
const HARMLESS_ESCAPE = /[dDwWsSbBAz]/;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
/** Characters that folding keeps apart from all others: the engine folds k, s and some others to letters beyond ASCII. */
const SAFE = /[ -~]/;

interface Item {
  /** A single character that must be there; undefined: something else. */
  readonly char: string | undefined;
  readonly next: number;
}

/** The longest literal that any match of the pattern holds, folded, at least 3 characters; undefined: none found. */
export function requiredLiteral(source: string): string | undefined {
  const runs: string[] = [];
  let run = "";
  for (let at = 0; at < source.length; ) {
    const item = readItem(source, at);
    if (item === undefined) return undefined;
    const quantifier =
      /^(?:[*+?]|\{\d+(?:,\d*)?\})\??/.exec(source.slice(item.next, item.next + 16))?.[0] ?? "";
    if (item.char !== undefined && quantifier === "") run += item.char;
    else {
      runs.push(run);
      run = "";
    }
    at = item.next + quantifier.length;
  }
  runs.push(run);
  const longest = runs.reduce((a, b) => (b.length > a.length ? b : a), "");
  return longest.length >= MIN_LENGTH ? foldText(longest) : undefined;
}

/** Reads one character, escape, class or group. undefined: something at the top level that is not understood. */
function readItem(source: string, at: number): Item | undefined {
  const char = source.charAt(at);
  if (char === "|" || char === ")" || char === "*" || char === "+" || char === "?") return undefined;
  if (char === "\\") return readEscape(source, at);
  if (char === "[") return skipTo(classEnd(source, at));
  if (char === "(") return skipTo(groupEnd(source, at));
  if (char === "." || char === "^" || char === "$") return { char: undefined, next: at + 1 };
  return { char: SAFE.test(char) ? char : undefined, next: at + 1 };
}

function readEscape(source: string, at: number): Item | undefined {
  const escaped = source.charAt(at + 1);
  if (HARMLESS_ESCAPE.test(escaped)) return { char: undefined, next: at + 2 };
  return PUNCTUATION.test(escaped) ? { char: escaped, next: at + 2 } : undefined;
}

function skipTo(next: number | undefined): Item | undefined {
  return next === undefined ? undefined : { char: undefined, next };
}

/** Index after the class; undefined for the forms with brackets inside, which are rare. */
function classEnd(source: string, at: number): number | undefined {
  const plain = /^\[\^?\]?(?:[^\][\\]|\\[^pPQ])*\]/.exec(source.slice(at));
  return plain === null ? undefined : at + plain[0].length;
}

/** Index after the group; undefined when it sets flags for what follows or quotes with \Q. */
function groupEnd(source: string, at: number): number | undefined {
  if (/^\(\?[a-zA-Z-]*\)/.test(source.slice(at, at + 16)) || source.includes("\\Q", at)) return undefined;
  let depth = 0;
  for (let index = at; index < source.length; index++) {
    const char = source.charAt(index);
    if (char === "\\") index++;
    else if (char === "[") {
      const end = classEnd(source, index);
      if (end === undefined) return undefined;
      index = end - 1;
    } else if (char === "(") depth++;
    else if (char === ")" && --depth === 0) return index + 1;
  }
  return undefined;
}
