/** Glob: file names and types against patterns with * and ?, without case, in linear space and without backtracking blow-up. Pure. */

/** True when `text` as a whole matches `pattern`. O(pattern x text). */
export function matchesGlob(pattern: string, text: string): boolean {
  const wanted = [...pattern.toLowerCase()];
  const found = [...text.toLowerCase()];
  let at = 0;
  let star = -1;
  let resume = 0;
  for (let position = 0; position < found.length; ) {
    if (wanted[at] === "*") {
      star = at;
      resume = position;
      at += 1;
    } else if (at < wanted.length && (wanted[at] === "?" || wanted[at] === found[position])) {
      at += 1;
      position += 1;
    } else if (star >= 0) {
      // The last star takes one more character; earlier stars never need to.
      at = star + 1;
      resume += 1;
      position = resume;
    } else {
      return false;
    }
  }
  return wanted.slice(at).every((character) => character === "*");
}
