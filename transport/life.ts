/**
 * Life of a transport: what is open, whether it drains, and the order in which everything ends.
 *
 * Rooms open once: for the first configuration, or, where there is none yet, to say what the queue of a pod that must go
 * still holds.
 *
 * @module
 */
import type { Clock } from "../lib/clock.ts";
import type { Dispatcher } from "./dispatch.ts";
import { setDraining } from "./drain.ts";
import type { Rooms } from "./rooms.ts";

export interface LifeDeps {
  readonly clock: Clock;
  openRooms(poisonThreshold: number | undefined): Promise<Rooms>;
}

/** Commits of what was delivered last; a disk that hangs is not waited for. */
const SETTLE_MS = 2000;

export class Life {
  /** Set when mail begins to flow. */
  dispatcher: Dispatcher | undefined;
  rooms: Rooms | undefined;
  readonly #deps: LifeDeps;
  readonly #openers: ((rooms: Rooms) => Promise<void>)[] = [];
  readonly #stops: (() => void)[] = [];
  readonly #quiets: (() => Promise<void>)[] = [];
  readonly #ends: (() => Promise<void>)[] = [];
  #opening: Promise<Rooms> | undefined;
  #isDraining = false;
  #isStopping = false;

  constructor(deps: LifeDeps) {
    this.#deps = deps;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get takesMail(): boolean {
    return !this.#isDraining && !this.#isStopping;
  }

  open(poisonThreshold?: number): Promise<Rooms> {
    this.#opening ??= this.#deps.openRooms(poisonThreshold).then(async (rooms) => {
      this.rooms = rooms;
      for (const opener of this.#openers) await opener(rooms);
      return rooms;
    });
    return this.#opening;
  }

  async drain(draining: boolean): Promise<void> {
    if (this.#isStopping) return;
    this.#isDraining = draining;
    const { smtp, queue, delivery, log } = await this.open();
    setDraining(draining, { smtp, queue, delivery, log, dispatcher: () => this.dispatcher });
  }

  onOpen(opener: (rooms: Rooms) => Promise<void>): void {
    this.#openers.push(opener);
  }

  /** Called first when all ends. */
  onStop(stop: () => void): void {
    if (this.#isStopping) stop();
    else this.#stops.push(stop);
  }

  /** Called when no mail moves any more and the queue is still open. Never rejects. */
  onQuiet(quiet: () => Promise<void>): void {
    this.#quiets.push(quiet);
  }

  /** Called last. */
  onEnd(end: () => Promise<void>): void {
    this.#ends.push(end);
  }

  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    for (const stop of this.#stops.splice(0)) stop();
    const rooms = await this.#opening?.catch(() => undefined);
    if (rooms !== undefined) await this.#close(rooms, graceMs);
    for (const end of this.#ends.splice(0)) await end();
  }

  async #close({ smtp, delivery, queue, tracking }: Rooms, graceMs: number): Promise<void> {
    const settled = this.dispatcher?.stop();
    // Side by side, so that all of it ends within the grace.
    await Promise.all([smtp.close(graceMs), delivery.close(graceMs)]);
    await Promise.race([settled, this.#deps.clock.sleep(SETTLE_MS)]);
    for (const quiet of this.#quiets.splice(0)) await quiet();
    await queue.close();
    await tracking.close();
  }
}
