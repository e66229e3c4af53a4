/**
 * Places: how many connections may be open, to one next hop and in all, exact over all threads that share the counts.
 *
 * A job takes its place before it begins. A connection kept after its job keeps the place until it is closed, and
 * the next job to that next hop has it. Who gets no place because other threads have them all says so in
 * the counts and asks again soon: the others then let go of what idles at once, and of places that jobs give back
 * after a turn.
 *
 * @module
 */
import type { Clock } from "../../lib/clock.ts";
import { type Counts, createCounts } from "../../lib/counts.ts";

export interface PlacesOptions {
  /** undefined: no other thread counts. */
  readonly counts: Counts | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  /** Connections of the whole transport. */
  most(): number;
  /** Closes the connection that idles longest of the next hops that are free to lose one. False: there is none. */
  evict(isFree: (nextHopKey: string) => boolean): boolean;
  /** Has the idle connections of this next hop, or of all, closed. */
  letGo(nextHopKey?: string): void;
}

interface Hop {
  readonly limit: Limit;
  jobs: number;
  /** Connecting, connected, closing. */
  connections: number;
  /** Of them those told QUIT: their place is free when they are closed. */
  closing: number;
  /** Taken from the counts. */
  places: number;
  /** undefined: what frees a place wakes who waits. */
  askAgainAt: number | undefined;
}

/** A limit that threads share: where its places and those who wait for one are counted. */
interface Limit {
  readonly key: string;
  readonly awaited: string;
  /** When this thread asked last; undefined: it does not wait. */
  askedAt: number | undefined;
  /** Since when others are seen to wait. */
  seenAt: number | undefined;
}

/** Long enough for a run of short jobs, short enough for who waits. */
const TURN_MS = 100;
const LOOK_MS = 50;
const ASK_FIRST_MS = 20;
/** Who gave way asks later than all who wait. */
const ASK_AFTER_TURN_MS = 60;
/** Who has not asked for so long waits no more: its mail went elsewhere. */
const FORGOTTEN_MS = 1000;

export class Places {
  readonly #options: PlacesOptions;
  readonly #counts: Counts;
  readonly #hops = new Map<string, Hop>();
  readonly #all = limitOf("connections out");
  readonly #waits = new Set<Limit>();
  #total = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PlacesOptions) {
    this.#options = options;
    this.#counts = options.counts ?? createCounts();
  }

  /** What the jobs of this thread may have now, those that run included. */
  get room(): number {
    return this.#options.most() - (this.#counts.taken(this.#all.key) - this.#total);
  }

  /** Places for up to `wanted` jobs to a next hop that takes `limit` connections. 0 wanted: there was no room for any. */
  take(key: string, limit: number, wanted: number): number {
    const hop = this.#hop(key);
    hop.askAgainAt = undefined;
    const givesWay = this.#givesWay(hop, limit);
    const got = givesWay ? 0 : this.#takeFor(hop, limit, wanted);
    if (got > 0) {
      this.#endWait(hop.limit);
      this.#endWait(this.#all);
    } else if (this.#options.counts !== undefined) {
      this.#wait(hop);
      if (givesWay) {
        this.#options.letGo(key);
        hop.askAgainAt = this.#options.clock.now() + ASK_AFTER_TURN_MS;
      }
    }
    this.#settle(key, hop);
    return got;
  }

  /** When take() is worth another try; undefined: when a job ends. */
  askAgainAt(key: string): number | undefined {
    return this.#hops.get(key)?.askAgainAt;
  }

  /** Jobs are over, or will not be. */
  give(key: string, jobs: number): void {
    const hop = this.#hop(key);
    hop.jobs = Math.max(0, hop.jobs - jobs);
    this.#settle(key, hop);
  }

  opened(key: string): void {
    this.#hop(key).connections += 1;
  }

  /** It is told QUIT. A job of this thread may open its successor meanwhile, others wait. */
  closing(key: string): void {
    this.#hop(key).closing += 1;
  }

  closed(key: string, wasClosing = false): void {
    const hop = this.#hop(key);
    hop.connections -= 1;
    if (wasClosing) hop.closing -= 1;
    this.#settle(key, hop);
  }

  /** True: one more connection to this next hop would be one more than its places. Jobs without a place do not count. */
  isShort(key: string): boolean {
    const { places, connections, closing } = this.#hop(key);
    return places > 0 && connections - closing >= places;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const limit of this.#waits) this.#endWait(limit);
  }

  #hop(key: string): Hop {
    const known = this.#hops.get(key);
    if (known !== undefined) return known;
    const limit = limitOf(`${this.#all.key} to ${key}`);
    const hop = { limit, jobs: 0, connections: 0, closing: 0, places: 0, askAgainAt: undefined };
    this.#hops.set(key, hop);
    return hop;
  }

  /** The places of connections that idle first, then new ones: from both counts, or from none. */
  #takeFor(hop: Hop, limit: number, wanted: number): number {
    const { evict, most } = this.#options;
    const kept = Math.min(wanted, hop.places - hop.jobs);
    hop.jobs += kept;
    const got = this.#counts.take(hop.limit.key, limit, wanted - kept);
    let all = this.#counts.take(this.#all.key, most(), got);
    const isFree = (key: string) => spareOf(this.#hop(key)) > 0;
    while (all < got && evict(isFree)) all += this.#counts.take(this.#all.key, most(), 1);
    if (all < got) this.#counts.give(hop.limit.key, got - all);
    hop.jobs += all;
    hop.places += all;
    this.#total += all;
    return kept + all;
  }

  /** Gives back what neither a job nor a connection has. */
  #settle(key: string, hop: Hop): void {
    const spare = hop.places - Math.max(hop.jobs, hop.connections);
    if (spare > 0) {
      hop.places -= spare;
      this.#total -= spare;
      this.#counts.give(hop.limit.key, spare);
      this.#counts.give(this.#all.key, spare);
    }
    if (spareOf(hop) > 0) this.#lookLater();
    const isRemembered = hop.askAgainAt !== undefined || hop.limit.seenAt !== undefined;
    if (hop.jobs + hop.connections === 0 && !isRemembered) this.#hops.delete(key);
  }

  /** Others have waited for a turn, and this thread has its share: it takes nothing now. */
  #givesWay(hop: Hop, limit: number): boolean {
    if (this.#options.counts === undefined) return false;
    const [ofHop, ofAll] = [this.#othersAfterTurn(hop.limit), this.#othersAfterTurn(this.#all)];
    if (ofHop > 0 && hop.jobs >= Math.floor(limit / (ofHop + 1))) return true;
    return ofAll > 0 && this.#jobs() >= Math.floor(this.#options.most() / (ofAll + 1));
  }

  /** Threads that have waited for a turn. None for one that waits itself: two would wait for each other. */
  #othersAfterTurn(limit: Limit): number {
    const others = this.#others(limit);
    if (others === 0) {
      limit.seenAt = undefined;
      return 0;
    }
    const now = this.#options.clock.now();
    limit.seenAt ??= now;
    this.#lookLater();
    return this.#waits.has(limit) || now - limit.seenAt < TURN_MS ? 0 : others;
  }

  #others(limit: Limit): number {
    return this.#counts.taken(limit.awaited) - (this.#waits.has(limit) ? 1 : 0);
  }

  #jobs(): number {
    let jobs = 0;
    for (const hop of this.#hops.values()) jobs += hop.jobs;
    return jobs;
  }

  /** Says what this thread waits for, unless a job of its own will end and wake it. */
  #wait(hop: Hop): void {
    if (hop.jobs > 0) return;
    const { clock, random } = this.#options;
    if (this.#counts.taken(hop.limit.key) > hop.places) this.#beginWait(hop.limit);
    else if (this.#counts.taken(this.#all.key) > this.#total) this.#beginWait(this.#all);
    else return;
    hop.askAgainAt = clock.now() + ASK_FIRST_MS + Math.floor(random() * (LOOK_MS - ASK_FIRST_MS));
  }

  #beginWait(limit: Limit): void {
    limit.askedAt = this.#options.clock.now();
    if (this.#waits.has(limit)) return;
    this.#waits.add(limit);
    this.#counts.take(limit.awaited, Number.MAX_SAFE_INTEGER);
    this.#lookLater();
  }

  #endWait(limit: Limit): void {
    if (this.#waits.delete(limit)) this.#counts.give(limit.awaited);
  }

  #lookLater(): void {
    if (this.#options.counts === undefined) return;
    this.#timer ??= setTimeout(() => this.#look(), LOOK_MS).unref();
  }

  /** Connections idle for nobody while others wait for their places. */
  #look(): void {
    this.#timer = undefined;
    const longAgo = this.#options.clock.now() - FORGOTTEN_MS;
    for (const limit of this.#waits) if ((limit.askedAt ?? 0) < longAgo) this.#endWait(limit);
    if (this.#waits.size > 0) this.#lookLater();
    if (this.#others(this.#all) > 0) this.#options.letGo();
    for (const [key, hop] of [...this.#hops]) this.#lookAt(key, hop, longAgo);
  }

  #lookAt(key: string, hop: Hop, longAgo: number): void {
    if (this.#others(hop.limit) === 0) hop.limit.seenAt = undefined;
    else if (spareOf(hop) > 0) this.#options.letGo(key);
    if ((hop.askAgainAt ?? 0) < longAgo) hop.askAgainAt = undefined;
    if (hop.askAgainAt !== undefined || hop.limit.seenAt !== undefined) this.#lookLater();
    this.#settle(key, hop);
  }
}

function limitOf(key: string): Limit {
  return { key, awaited: `${key}, awaited`, askedAt: undefined, seenAt: undefined };
}

/** Places of connections that idle. */
function spareOf({ places, jobs }: Hop): number {
  return places - jobs;
}
