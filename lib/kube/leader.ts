import type { MonotonicClock } from "../clock.ts";
import type { Logger } from "../log.ts";
import type { KubeHttp } from "./types.ts";

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
  /** Between tries; default 2 s. */
  readonly retryPeriodMs?: number;
  onElected(): void;
  /** The lease is lost or was given back: nothing may be written any more. Called once for each onElected. */
  onLost(): void;
}

export interface LeaderElector {
  readonly isLeader: boolean;
  /** Gives the lease back, so that the next one need not wait; onLost is called first. */
  stop(): Promise<void>;
}

export function createLeaderElector(options: LeaderElectorOptions): LeaderElector {
  throw new Error(`Cannot elect "${options.identity}"`);
}
