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
