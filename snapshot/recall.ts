/** Recall: what was made before from the same things is not made again. Things are compared by identity. */

/** One value for each key, for as long as what else it depends on is the same. Forgotten with the key. */
export class Recall<Key extends object, Value> {
  readonly #known = new WeakMap<Key, Made<Value>>();

  of(key: Key, depends: readonly unknown[], make: () => Value): Value {
    const known = this.#known.get(key);
    if (known !== undefined && sameItems(known.depends, depends)) return known.value;
    const value = make();
    this.#known.set(key, { depends, value });
    return value;
  }
}

/** The last value alone. */
export class Last<Value> {
  #made: Made<Value> | undefined;

  get value(): Value | undefined {
    return this.#made?.value;
  }

  of(depends: readonly unknown[], make: () => Value): Value {
    if (this.#made === undefined || !sameItems(this.#made.depends, depends)) {
      this.#made = { depends, value: make() };
    }
    return this.#made.value;
  }
}

interface Made<Value> {
  readonly depends: readonly unknown[];
  readonly value: Value;
}

export function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, at) => item === b[at]);
}
