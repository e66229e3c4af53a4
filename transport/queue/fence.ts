/**
 * Fence: keeps reads of the store and changes to it from crossing.
 *
 * A read must not hand out an item that a change under way may alter, nor one that was changed or handed
 * out while the read was on its way: what it read of that item may be old.
 *
 * @module
 */
import { SteadyMap } from "../../lib/steady-map.ts";
import type { Change } from "./store.ts";

export class Fence {
  readonly #changing = new SteadyMap<number>();
  readonly #reads = new Set<Set<string>>();
  #whenNextEnds: (() => void)[] = [];

  /** A change of these items begins. */
  begin(ids: readonly string[]): void {
    for (const id of ids) this.#changing.set(id, (this.#changing.get(id) ?? 0) + 1);
    this.touch(ids);
  }

  /** The change is over, done or failed. */
  end(ids: readonly string[]): void {
    for (const id of ids) {
      const left = (this.#changing.get(id) ?? 1) - 1;
      if (left === 0) this.#changing.delete(id);
      else this.#changing.set(id, left);
    }
    this.touch(ids);
    if (this.#whenNextEnds.length === 0) return;
    const waiting = this.#whenNextEnds;
    this.#whenNextEnds = [];
    for (const look of waiting) look();
  }

  /** Resolves when the changes of these that are under way are over; others may have begun since. */
  async quiet(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      while (this.#changing.has(id)) await new Promise<void>((resolve) => this.#whenNextEnds.push(resolve));
    }
  }

  /** Whatever a read under way says of these items is out of date. */
  touch(ids: readonly string[]): void {
    for (const read of this.#reads) for (const id of ids) read.add(id);
  }

  isChanging(id: string): boolean {
    return this.#changing.has(id);
  }

  changing(): Iterable<string> {
    return this.#changing.keys();
  }

  /** Runs a read; `isStale` tells of an id whether its answer may be used. */
  async read<Answer>(
    ask: () => Promise<Answer>,
  ): Promise<{ answer: Answer; isStale: (id: string) => boolean }> {
    const touched = new Set<string>();
    this.#reads.add(touched);
    try {
      return { answer: await ask(), isStale: (id) => touched.has(id) || this.#changing.has(id) };
    } finally {
      this.#reads.delete(touched);
    }
  }
}

/** Ids of all items that a change concerns. */
export function idsOf({ insert, update, amend, remove }: Change): string[] {
  const ids = remove === undefined ? [] : [...remove];
  for (const { message } of insert ?? []) ids.push(message.id);
  for (const { message } of update ?? []) ids.push(message.id);
  for (const { id } of amend ?? []) ids.push(id);
  return ids;
}
