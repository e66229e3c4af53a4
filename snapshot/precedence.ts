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

export function rank(name: string, creationTimestamp: string | undefined): Rank {
  const time = creationTimestamp === undefined ? Number.NaN : Date.parse(creationTimestamp);
  return { name, createdAt: Number.isNaN(time) ? Number.POSITIVE_INFINITY : time };
}

/** Winners first. */
export function byAge(a: Rank, b: Rank): number {
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? -1 : 1;
  return byName(a, b);
}

/** Order of evaluation of transport rules: priority, then age, then name. */
export function byRuleOrder(a: Rank & { priority: number }, b: Rank & { priority: number }): number {
  return a.priority - b.priority || byAge(a, b);
}

export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}
