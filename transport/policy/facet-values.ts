/** Facet values: what a message has of a facet. Few as a rule, so that a set is made of many only. */

const FEW = 8;

export class FacetValues {
  /** Each of many once. */
  readonly values: readonly string[];
  /** False: there may be more, which cannot be known now. */
  readonly complete: boolean;
  readonly #set: ReadonlySet<string> | undefined;

  constructor(values: readonly string[], complete: boolean) {
    this.#set = values.length > FEW ? new Set(values) : undefined;
    this.values = this.#set !== undefined && this.#set.size < values.length ? [...this.#set] : values;
    this.complete = complete;
  }

  has(value: string): boolean {
    return this.#set === undefined ? this.values.includes(value) : this.#set.has(value);
  }
}

export const NONE = new FacetValues([], true);
export const UNKNOWN = new FacetValues([], false);

export function complete(values: readonly string[]): FacetValues {
  return values.length === 0 ? NONE : new FacetValues(values, true);
}

/** What one of them has; complete when each is. */
export function unite(all: readonly FacetValues[]): FacetValues {
  const [first = NONE, ...others] = all.filter(({ values, complete: known }) => values.length > 0 || !known);
  if (others.length === 0) return first;
  return new FacetValues(
    [...new Set([first, ...others].flatMap(({ values }) => values))],
    first.complete && others.every(({ complete: known }) => known),
  );
}
