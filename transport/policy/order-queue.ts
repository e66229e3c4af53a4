/**
 * Order queue: the places of candidates, lowest first, each once; those already passed are not taken again.
 *
 * A binary heap that may hold a place repeatedly.
 *
 * @module
 */
import type { Found } from "./rule-index.ts";
import { NO_PLACE } from "./rules-in-force.ts";

export class OrderQueue implements Found {
  readonly #places: Int32Array;
  readonly #heap: number[] = [];
  #last = -1;

  /** `places`: by id; an id beyond its end, or of no place, is left out. */
  constructor(places: Int32Array) {
    this.#places = places;
  }

  add(id: number): void {
    const place = this.#places[id] ?? NO_PLACE;
    if (place > this.#last) this.#push(place);
  }

  next(): number | undefined {
    for (let place = this.#pop(); place !== undefined; place = this.#pop()) {
      if (place === this.#last) continue;
      this.#last = place;
      return place;
    }
    return undefined;
  }

  #push(place: number): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(place);
    for (; at > 0; at = (at - 1) >> 1) {
      const above = heap[(at - 1) >> 1] as number;
      if (above <= place) break;
      heap[at] = above;
    }
    heap[at] = place;
  }

  #pop(): number | undefined {
    const heap = this.#heap;
    const lowest = heap[0];
    const place = heap.pop();
    if (place === undefined || heap.length === 0) return lowest;
    let at = 0;
    for (let below = 1; below < heap.length; below = 2 * at + 1) {
      if (below + 1 < heap.length && (heap[below + 1] as number) < (heap[below] as number)) below++;
      if ((heap[below] as number) >= place) break;
      heap[at] = heap[below] as number;
      at = below;
    }
    heap[at] = place;
    return lowest;
  }
}
