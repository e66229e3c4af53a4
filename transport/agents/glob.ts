/** Glob: file names and types against patterns with * and ?, without case. No regular expression, so nothing backtracks without end. Pure. */

/** Makes the test of one pattern. Plain names and "*.exe", which is nearly all of them, cost one comparison. */
export function compileGlob(pattern: string): (text: string) => boolean {
  const wanted = pattern.toLowerCase();
  const tail = wanted.slice(1);
  if (!/[*?]/.test(wanted)) return (text) => text.toLowerCase() === wanted;
  if (wanted[0] === "*" && !/[*?]/.test(tail)) return (text) => text.toLowerCase().endsWith(tail);
  const characters = [...wanted];
  return (text) => matches(characters, [...text.toLowerCase()]);
}

/** O(pattern x text), no recursion. */
function matches(wanted: readonly string[], found: readonly string[]): boolean {
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
