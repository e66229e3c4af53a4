/**
 * Late bodies: large bodies that are in memory only until a row must name them.
 *
 * What rules make of a body can be made again from the one that was accepted, whose row and octets stay until
 * then (decision 0120). Most of them are delivered before that, and never written. In: items and changes whose
 * bodies are inline whatever their size. Out: the same, with bodies that are on disk. Rejects when these cannot
 * be written.
 *
 * @module
 */
import { SteadyMap } from "../../lib/steady-map.ts";
import type { Body } from "../../mail/message.ts";
import type { Bodies } from "./bodies.ts";
import type { Change, QueueItem } from "./store.ts";

export class LateBodies {
  readonly #bodies: Bodies;
  /** What was written of a body, or is being written. */
  readonly #written = new WeakMap<Body, Promise<Body>>();
  readonly #placed = new WeakMap<Body, Body>();
  /** By message: written for its row, and that row is not on disk yet. */
  readonly #unnamed = new SteadyMap<Promise<Body>>();

  constructor(bodies: Bodies) {
    this.#bodies = bodies;
  }

  isLate({ message: { body } }: QueueItem): boolean {
    return body.kind === "inline" && body.size > this.#bodies.inlineLimit;
  }

  /** The change as a store can take it. */
  place(change: Change): Change | Promise<Change> {
    const { insert = [], update = [] } = change;
    const isReady = !update.some((item) => this.isLate(item)) && !insert.some((item) => this.isLate(item));
    return isReady ? change : this.#placeAll(change);
  }

  /** The item as a store can take it. Its message may leave, or change, before it is written. */
  placeForLater(item: QueueItem): QueueItem | Promise<QueueItem> {
    if (!this.isLate(item)) return item;
    const written = this.#write(item.message.body);
    this.#unnamed.set(item.message.id, written);
    return written.then((body) => withBody(item, body));
  }

  /** The item with the body that is on disk, if that was written: octets need not stay in memory. */
  placed(item: QueueItem): QueueItem {
    const body = this.#placed.get(item.message.body);
    return body === undefined ? item : withBody(item, body);
  }

  /** The row of a message is on disk, its body claimed, or the row is gone: what else was written for it is of no use. */
  settled(id: string): void {
    const unnamed = this.#unnamed.get(id);
    if (unnamed === undefined) return;
    this.#unnamed.delete(id);
    unnamed.then(
      (written) => this.#bodies.discard(written),
      () => undefined,
    );
  }

  async #placeAll(change: Change): Promise<Change> {
    const placeEach = (items: readonly QueueItem[] = []) =>
      Promise.all(
        items.map(async (item) =>
          this.isLate(item) ? withBody(item, await this.#write(item.message.body)) : item,
        ),
      );
    const [insert, update] = await Promise.all([placeEach(change.insert), placeEach(change.update)]);
    return { ...change, insert, update };
  }

  #write(body: Body): Promise<Body> {
    const known = this.#placed.get(body);
    if (known !== undefined && !this.#bodies.holds(known)) {
      this.#placed.delete(body);
      this.#written.delete(body);
    }
    let written = this.#written.get(body);
    if (written === undefined) {
      written = this.#writeNow(body);
      this.#written.set(body, written);
      // The next one who needs it tries again.
      written.catch(() => this.#written.delete(body));
    }
    return written;
  }

  async #writeNow(body: Body): Promise<Body> {
    const writer = this.#bodies.writer();
    if (body.kind === "inline") await writer.write(body.bytes);
    const placed = await writer.finish();
    this.#placed.set(body, placed);
    return placed;
  }
}

function withBody(item: QueueItem, body: Body): QueueItem {
  return { ...item, message: { ...item.message, body } };
}
