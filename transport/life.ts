/**
 * Life of a transport: what is open, whether it drains, and the order in which everything ends.
 *
 * Its shares open once: for the first configuration, or, where there is none yet, to say what the queue of a pod that must go
 * still holds.
 *
 * @module
 */
import type { Clock } from "../lib/clock.ts";
import type { Share } from "./workers/mod.ts";

export interface LifeDeps {
  readonly clock: Clock;
  openShare(poisonThreshold: number | undefined): Promise<Share>;
}

/** A pod that is not ready is sent new connections for so long: two readiness probes, and every node has to hear of it. */
const ASIDE_MS = 8000;

export class Life {
  /** Once it is open. */
  share: Share | undefined;
  readonly #deps: LifeDeps;
  readonly #openers: ((share: Share) => Promise<void>)[] = [];
  readonly #stops: (() => void)[] = [];
  readonly #quiets: (() => Promise<void>)[] = [];
  readonly #ends: (() => Promise<void>)[] = [];
  #opening: Promise<Share> | undefined;
  #isWorking = false;
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

  open(poisonThreshold?: number): Promise<Share> {
    this.#opening ??= this.#deps.openShare(poisonThreshold).then(async (share) => {
      this.share = share;
      for (const opener of this.#openers) await opener(share);
      return share;
    });
    return this.#opening;
  }

  /** From here on mail flows. */
  async startWork(): Promise<Share> {
    const share = await this.open();
    this.#isWorking = true;
    await share.startWork();
    return share;
  }

  /** Where mail flows, the pod steps aside first: not ready any more, it takes what still comes. Resolves when it drains. */
  async drain(draining: boolean): Promise<void> {
    if (draining && this.#aside !== undefined) return;
    this.#aside?.abort();
    this.#aside = undefined;
    if (draining && this.#isWorking && !this.#isDraining && !(await this.#stepAside())) return;
    if (this.#isStopping) return;
    this.#isDraining = draining;
    await (await this.open()).setDraining(draining);
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

  onOpen(opener: (share: Share) => Promise<void>): void {
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
    const share = await this.#opening?.catch(() => undefined);
    await share?.rest(graceMs);
    if (share !== undefined) for (const quiet of this.#quiets.splice(0)) await quiet();
    await share?.close();
    for (const end of this.#ends.splice(0)) await end();
  }
}
