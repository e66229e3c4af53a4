/** Hops: what delivery remembers of each next hop: window, broken TLS, dead addresses, whose turn it is. In memory, bounded. */
import { HopWindow } from "./concurrency.ts";
import { BrokenTls } from "./tls-policy.ts";

export interface Hop {
  readonly window: HopWindow;
  readonly brokenTls: BrokenTls;
  /** address:port -> until when it is tried last, ms since 1970. */
  readonly unreachable: Map<string, number>;
  /** Addresses whose failure is in the log, until they answer or a new round of jobs begins. */
  readonly reported: Set<string>;
  turn: number;
}

const MAX_HOPS = 20_000;
const MAX_ADDRESSES = 1000;

/** Remembers that an address could not be reached. */
export function markUnreachable({ unreachable }: Hop, address: string, until: number): void {
  if (unreachable.size >= MAX_ADDRESSES) unreachable.clear();
  unreachable.set(address, until);
}

/** True once a round of jobs: those that run together fail together, and one line says so. */
export function isNews({ reported }: Hop, address: string): boolean {
  if (reported.has(address)) return false;
  if (reported.size >= MAX_ADDRESSES) reported.clear();
  reported.add(address);
  return true;
}

export class Hops {
  readonly #hops = new Map<string, Hop>();

  of(key: string): Hop {
    const known = this.#hops.get(key);
    if (known !== undefined) return known;
    if (this.#hops.size >= MAX_HOPS) this.#prune();
    const hop = {
      window: new HopWindow(),
      brokenTls: new BrokenTls(),
      unreachable: new Map(),
      reported: new Set<string>(),
      turn: 0,
    };
    this.#hops.set(key, hop);
    return hop;
  }

  get(key: string): Hop | undefined {
    return this.#hops.get(key);
  }

  reset(key: string, now: number): void {
    const hop = this.#hops.get(key);
    hop?.window.reset(now);
    hop?.brokenTls.clear();
    hop?.unreachable.clear();
  }

  /** Forgets the older half, except those at work. */
  #prune(): void {
    let left = MAX_HOPS / 2;
    for (const [key, { window }] of this.#hops) {
      if (left === 0) return;
      left -= 1;
      if (window.running === 0) this.#hops.delete(key);
    }
  }
}
