/** What a run of the bench leaves behind, as it stands in JSON: tables and plots are made of it. */
import type { Case } from "./cases.ts";

export interface SpeedResult {
  /** ISO 8601, the begin. */
  readonly date: string;
  readonly minutes: number;
  readonly command: string;
  readonly machine: Machine;
  readonly peers: readonly PeerFacts[];
  /** Sentences: what could not be measured, and why. */
  readonly skipped: readonly string[];
  readonly cases: readonly CaseResult[];
}

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGigabytes: number;
  readonly kernel: string;
  readonly distribution: string;
  readonly node: string;
  /** Of the folder where all peers have their queues. */
  readonly disk: string;
  /** Load average of a minute before the first run. */
  readonly loadBefore: number;
}

/** ours: Postroom. other: a server to be compared with. none: no server, the load goes straight into the sink. */
export type PeerKind = "ours" | "other" | "none";

export interface PeerFacts {
  readonly name: string;
  readonly kind: PeerKind;
  readonly version: string;
  readonly durability: string;
}

export interface CaseResult {
  readonly case: Case;
  /** The command that loads, for one of the ports. */
  readonly load: string;
  readonly rows: readonly Row[];
}

export interface Row {
  readonly peer: string;
  readonly runs: readonly Run[];
  /** Of all its processes after the last run. */
  readonly memoryMegabytes?: number;
  /** Why there are no runs, or no more. */
  readonly failure?: string;
}

export interface Run {
  readonly messages: number;
  readonly seconds: number;
  /** Of the peer with all its processes, for all messages. */
  readonly cpuSeconds?: number;
}

export function rateOf({ messages, seconds }: Run): number {
  return messages / seconds;
}
