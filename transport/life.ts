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
/** A pod that is not ready is sent new connections for so long: two readiness probes, and every node has to hear of it. */
const ASIDE_MS = 8000;

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
  /** Set from when a drain is told until it begins. */
  #aside: AbortController | undefined;
  #isStopping = false;

  constructor(deps: LifeDeps) {
    this.#deps = deps;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get takesMail(): boolean {
    return !this.#isDraining && !this.#isStopping && this.#aside === undefined;
  }

  open(poisonThreshold?: number): Promise<Rooms> {
    this.#opening ??= this.#deps.openRooms(poisonThreshold).then(async (rooms) => {
      this.rooms = rooms;
      for (const opener of this.#openers) await opener(rooms);
      return rooms;
    });
    return this.#opening;
  }

  /** Where mail flows, the pod steps aside first: not ready any more, it takes what still comes. Resolves when it drains. */
  async drain(draining: boolean): Promise<void> {
    if (draining && this.#aside !== undefined) return;
    this.#aside?.abort();
    this.#aside = undefined;
    if (draining && this.dispatcher !== undefined && !this.#isDraining && !(await this.#stepAside())) return;
    if (this.#isStopping) return;
    this.#isDraining = draining;
    const { smtp, queue, delivery, log } = await this.open();
    setDraining(draining, { smtp, queue, delivery, log, dispatcher: () => this.dispatcher });
  }

  /** False: the drain was taken back, or all ends. */
  async #stepAside(): Promise<boolean> {
    const aside = new AbortController();
    this.#aside = aside;
    await this.#deps.clock.sleep(ASIDE_MS, aside.signal).catch(() => {});
    if (aside.signal.aborted) return false;
    this.#aside = undefined;
    return true;
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
    this.#aside?.abort();
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
