/** Hops: what delivery remembers of each next hop: window, broken TLS, dead addresses, whose turn it is. In memory, bounded. */
import { HopWindow } from "./concurrency.ts";
import { BrokenTls } from "./tls-policy.ts";

export interface Hop {
  readonly window: HopWindow;
  readonly brokenTls: BrokenTls;
  /** address:port -> until when it is tried last, ms since 1970. */
  readonly unreachable: Map<string, number>;
  turn: number;
}

const MAX_HOPS = 20_000;
const MAX_ADDRESSES = 1000;

/** Remembers that an address could not be reached. */
export function markUnreachable({ unreachable }: Hop, address: string, until: number): void {
  if (unreachable.size >= MAX_ADDRESSES) unreachable.clear();
  unreachable.set(address, until);
}

export class Hops {
  readonly #hops = new Map<string, Hop>();

  of(key: string): Hop {
    const known = this.#hops.get(key);
    if (known !== undefined) return known;
    if (this.#hops.size >= MAX_HOPS) this.#prune();
    const hop = { window: new HopWindow(), brokenTls: new BrokenTls(), unreachable: new Map(), turn: 0 };
    this.#hops.set(key, hop);
    return hop;
  }

  get(key: string): Hop | undefined {
    return this.#hops.get(key);
  }

  reset(key: string): void {
    const hop = this.#hops.get(key);
    hop?.window.reset();
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
