/** Folding: the one form in which words, literals and texts are compared. Pure. */

/** Composed (NFC), lower case, letters with two lower-case forms made one, each run of white space one space. */
export function foldText(text: string): string {
  const folded = composeText(text)
    .toLowerCase()
    .replace(/ \s+|[^\S ]\s*/g, " ");
  return /[ſς]/.test(folded) ? folded.replaceAll("ſ", "s").replaceAll("ς", "σ") : folded;
}

/** NFC. No character below U+0300 is changed by it, and most text has none above. */
export function composeText(text: string): string {
  return /[\u0300-\uffff]/.test(text) ? text.normalize("NFC") : text;
}

const WORD_CHARACTER = /[\p{L}\p{N}\p{M}_]/u;

/** True when text[start, end) begins and ends where a word may: not in the middle of letters or digits. */
export function isWholeWord(text: string, start: number, end: number): boolean {
  return isBoundary(text, start) && isBoundary(text, end);
}

function isBoundary(text: string, at: number): boolean {
  return at <= 0 || at >= text.length || !(isWordBefore(text, at) && isWordAfter(text, at));
}

function isWordBefore(text: string, at: number): boolean {
  const code = text.charCodeAt(at - 1);
  if (code < 0x80) return isAsciiWord(code);
  const isLowSurrogate = code >= 0xdc00 && code <= 0xdfff && at >= 2;
  return WORD_CHARACTER.test(isLowSurrogate ? text.slice(at - 2, at) : text.charAt(at - 1));
}

function isWordAfter(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  if (code < 0x80) return isAsciiWord(code);
  return WORD_CHARACTER.test(String.fromCodePoint(text.codePointAt(at) ?? 0));
}

function isAsciiWord(code: number): boolean {
  return (
    (code >= 97 && code <= 122) || (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95
  );
}
