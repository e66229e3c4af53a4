/**
 * Precedence: who wins when two objects claim the same thing. Written down here and nowhere else.
 *
 * 1. The more specific claim (range, domain, address space): settled where mail is matched, since both are in force.
 * 2. Equal claims: the older object, by creationTimestamp. A form held from the previous snapshot was there first;
 *    an object without a timestamp (a manifest in a folder) counts as younger than one that has it.
 * 3. Equal age: namespace/name, in code unit order.
 *
 * @module
 */

export interface Rank {
  /** namespace/name. */
  readonly name: string;
  /** Milliseconds since 1970; -Infinity: held, was there first; +Infinity: not known. */
  readonly createdAt: number;
}

export const HELD = Number.NEGATIVE_INFINITY;
const UNKNOWN = Number.POSITIVE_INFINITY;

export function rank(name: string, creationTimestamp: string | undefined): Rank {
  return { name, createdAt: timeOf(creationTimestamp) ?? UNKNOWN };
}

/** ms since 1970; undefined: not known. */
export function timeOf(creationTimestamp: string | undefined): number | undefined {
  const time = creationTimestamp === undefined ? Number.NaN : Date.parse(creationTimestamp);
  return Number.isNaN(time) ? undefined : time;
}

/** Winners first. */
export function byAge(a: Rank, b: Rank): number {
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? -1 : 1;
  return byName(a, b);
}

/** Order of evaluation of transport rules: priority, then age, then name. */
export function byRuleOrder(a: RankedRule, b: RankedRule): number {
  if (a.priority !== b.priority) return a.priority - b.priority;
  const [ageOfA, ageOfB] = [a.createdAt ?? UNKNOWN, b.createdAt ?? UNKNOWN];
  return ageOfA === ageOfB ? byName(a, b) : ageOfA - ageOfB;
}

interface RankedRule {
  readonly name: string;
  readonly priority: number;
  /** undefined: not known, counts as the youngest. */
  readonly createdAt: number | undefined;
}

export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}

/**
 * `items` sorted. `before` is an earlier result: what still stands in it comes first, in its order, so that the sort
 * has little to do; when nothing has changed the answer is `before` itself. `compare` must tell any two items apart.
 */
export function inOrder<Item>(
  items: readonly Item[],
  before: readonly Item[],
  compare: (a: Item, b: Item) => number,
): readonly Item[] {
  const left = new Set(items);
  const sorted = before.filter((item) => left.delete(item));
  if (left.size === 0 && sorted.length === before.length) return before;
  return [...sorted, ...left].sort(compare);
}
