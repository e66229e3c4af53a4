/** resourceVersion: versions of one object count up (KEP-5504), and an answer may come after a later watch event. Pure. */

/** Below 0: `a` is the earlier one; 0: the same; undefined: they cannot be compared. */
export function compareVersions(a: string | undefined, b: string | undefined): number | undefined {
  if (a === undefined || b === undefined || !/^\d+$/.test(a) || !/^\d+$/.test(b)) return undefined;
  if (a.length !== b.length) return a.length - b.length;
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
