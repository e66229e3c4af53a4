/**
 * Leader election by a Lease (coordination.k8s.io/v1), as client-go does it: one of many processes may write.
 *
 * What others wrote is timed from the moment it was seen here, on the monotonic clock: wall clocks that are hours apart change
 * nothing. A term ends `renewDeadlineMs` after the last renewal that succeeded was begun; another one may begin only
 * `leaseDurationMs` after it was seen, which is later. So there are never two leaders, whatever hangs.
 */
import type { MonotonicClock } from "../clock.ts";
import type { Logger } from "../log.ts";
import { isNotFound } from "./errors.ts";
import { RESOURCES, resourcePath } from "./paths.ts";
import type { KubeCall, KubeHttp, KubeObject } from "./types.ts";

export interface LeaderElectorOptions {
  readonly http: KubeHttp;
  readonly clock: MonotonicClock;
  readonly log: Logger;
  /** Where the Lease lies and how it is called. */
  readonly namespace: string;
  readonly name: string;
  /** Never the same for two processes: the Pod's name and something random. */
  readonly identity: string;
  /** How long others wait after the last renewal they saw; default 15 s. */
  readonly leaseDurationMs?: number;
  /** How long the leader tries to renew before it gives up; default 10 s. */
  readonly renewDeadlineMs?: number;
  /** Between tries; candidates wait up to 2.2 times as long, so that they don't come together. Default 2 s. */
  readonly retryPeriodMs?: number;
  onElected(): void;
  /** The lease is lost or given back: nothing may be written any more. Called once for each onElected. */
  onLost(): void;
}

export interface LeaderElector {
  /** Asked before each write: false as soon as the term has run out, even if nothing could be told yet. */
  readonly isLeader: boolean;
  /** Gives the lease back, so that the next one need not wait; onLost is called first. */
  stop(): Promise<void>;
}

/** Stands for election until stop(), again after each loss. Throws for times that cannot be right. */
export function createLeaderElector(options: LeaderElectorOptions): LeaderElector {
  const { leaseDurationMs = 15_000, renewDeadlineMs = 10_000, retryPeriodMs = 2000 } = options;
  if (leaseDurationMs <= renewDeadlineMs || renewDeadlineMs <= retryPeriodMs)
    throw new RangeError(
      `Cannot elect with lease ${leaseDurationMs} ms, deadline ${renewDeadlineMs} ms, retry ${retryPeriodMs} ms: each must be longer than the next`,
    );
  const elector = new Elector({ ...options, leaseDurationMs, renewDeadlineMs, retryPeriodMs });
  elector.start();
  return elector;
}

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

interface Lease extends KubeObject {
  readonly spec?: LeaseSpec;
}

const JITTER = 1.2;

class Elector implements LeaderElector {
  readonly #options: Required<LeaderElectorOptions>;
  readonly #stop = new AbortController();
  #loop = Promise.resolve();
  /** As last written by us; spares the read before a renewal. */
  #own: Lease | undefined;
  /** The lease as last seen, and when it was seen first. */
  #seen = { spec: "", at: 0 };
  #termEnds = Number.NEGATIVE_INFINITY;
  /** The last one told. */
  #fault = "";

  constructor(options: Required<LeaderElectorOptions>) {
    this.#options = options;
  }

  get isLeader(): boolean {
    return this.#now() < this.#termEnds;
  }

  start(): void {
    this.#loop = this.#stand();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  #now(): number {
    return this.#options.clock.monotonic();
  }

  async #stand(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#attempt(signal);
      if (this.isLeader && !signal.aborted) await this.#lead();
      await this.#rest(this.#options.retryPeriodMs * (1 + Math.random() * JITTER), signal);
    }
    if (this.isLeader) await this.#giveBack();
  }

  /** One term, from its begin to its loss. */
  async #lead(): Promise<void> {
    const { log, identity, onElected, onLost } = this.#options;
    const term = new AbortController();
    const signal = AbortSignal.any([term.signal, this.#stop.signal]);
    log.info({ identity }, "elected leader");
    onElected();
    await Promise.race([this.#renew(signal), this.#expiry(signal)]);
    term.abort();
    // A lease that is to be given back is still ours; any other is not.
    if (!this.#stop.signal.aborted) this.#termEnds = Number.NEGATIVE_INFINITY;
    log.info({ identity, stopped: this.#stop.signal.aborted }, "leader no more");
    onLost();
  }

  /** Ends when somebody else holds the lease. */
  async #renew(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#rest(this.#options.retryPeriodMs, signal);
      if (signal.aborted || !this.isLeader) return;
      if ((await this.#attempt(signal)) === "taken") return;
    }
  }

  /** Ends when the term has run out, whatever hangs. */
  async #expiry(signal: AbortSignal): Promise<void> {
    while (this.isLeader && !signal.aborted) await this.#rest(this.#termEnds - this.#now(), signal);
  }

  /** Takes or renews the lease if that may be. "failed": nothing is known; said once for each fault. */
  async #attempt(signal: AbortSignal): Promise<"held" | "taken" | "failed"> {
    try {
      const state = await this.#takeOrRenew(signal);
      this.#fault = "";
      return state;
    } catch (err) {
      this.#own = undefined;
      const fault = String(err);
      if (!signal.aborted && fault !== this.#fault)
        this.#options.log.warn({ identity: this.#options.identity, err }, "lease not read or written");
      this.#fault = fault;
      return "failed";
    }
  }

  async #takeOrRenew(signal: AbortSignal): Promise<"held" | "taken"> {
    const lease = this.#own ?? (await this.#read(signal));
    if (lease !== undefined && !this.#mayTake(lease)) return "taken";
    const begun = this.#now();
    const hadTerm = this.isLeader;
    this.#own = await this.#write(lease, this.#claim(lease?.spec), signal);
    // An answer that came after the loss must not begin a term that nobody leads. Nor does one that ran out while the
    // process hung go on: what it was told meanwhile it passed over, and only the next term begins with a look at all.
    const ranOut = hadTerm && !this.isLeader;
    if (!signal.aborted && !ranOut) this.#termEnds = begun + this.#options.renewDeadlineMs;
    return "held";
  }

  #mayTake({ spec = {} }: Lease): boolean {
    const { identity, leaseDurationMs } = this.#options;
    const text = JSON.stringify(spec);
    if (text !== this.#seen.spec) this.#seen = { spec: text, at: this.#now() };
    const { holderIdentity = "", leaseDurationSeconds } = spec;
    if (holderIdentity === "" || holderIdentity === identity) return true;
    const lasts = leaseDurationSeconds === undefined ? leaseDurationMs : leaseDurationSeconds * 1000;
    return this.#now() >= this.#seen.at + lasts;
  }

  #claim(before: LeaseSpec = {}): LeaseSpec {
    const { identity, leaseDurationMs } = this.#options;
    const now = this.#microTime();
    const ours = before.holderIdentity === identity;
    const transitions = before.leaseTransitions ?? 0;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
      acquireTime: ours ? (before.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: ours || before.holderIdentity === undefined ? transitions : transitions + 1,
    };
  }

  async #giveBack(): Promise<void> {
    this.#termEnds = Number.NEGATIVE_INFINITY;
    const { identity, log } = this.#options;
    try {
      // Read again: a renewal that was cut off may have been written.
      const lease = await this.#read();
      if (lease?.spec?.holderIdentity !== identity) return;
      const now = this.#microTime();
      const free = { holderIdentity: "", leaseDurationSeconds: 1, acquireTime: now, renewTime: now };
      await this.#write(lease, { ...lease.spec, ...free });
    } catch (err) {
      log.warn({ identity, err }, "lease not given back, the next leader waits for its end");
    }
  }

  async #read(signal?: AbortSignal): Promise<Lease | undefined> {
    const { namespace, name } = this.#options;
    try {
      return await this.#call({
        method: "GET",
        path: resourcePath(RESOURCES.Lease, { namespace, name }),
        ...(signal && { signal }),
      });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** The resourceVersion goes with it: a write between our read and ours is a conflict. */
  #write(lease: Lease | undefined, spec: LeaseSpec, signal?: AbortSignal): Promise<Lease> {
    const { namespace, name } = this.#options;
    const place = lease === undefined ? { namespace } : { namespace, name };
    return this.#call({
      method: lease === undefined ? "POST" : "PUT",
      path: resourcePath(RESOURCES.Lease, place),
      body: {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: lease?.metadata ?? { namespace, name },
        spec,
      },
      ...(signal && { signal }),
    });
  }

  /** Never repeated underneath: a repeated write would conflict with its own first try. Two tries fit before the deadline. */
  #call(call: KubeCall): Promise<Lease> {
    const timeoutMs = this.#options.renewDeadlineMs / 2;
    return this.#options.http.request<Lease>({ ...call, timeoutMs, retry: false });
  }

  #rest(ms: number, signal: AbortSignal): Promise<void> {
    return this.#options.clock.sleep(ms, signal).catch(() => undefined);
  }

  #microTime(): string {
    return new Date(this.#options.clock.now()).toISOString().replace("Z", "000Z");
  }
}
