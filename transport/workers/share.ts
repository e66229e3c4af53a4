/**
 * Share: a part of a transport that takes, keeps and delivers mail by itself, in this thread or in one of its own.
 *
 * Shares have the listening addresses in common, and the limits of the whole; nothing else. Whoever drives one does not
 * see which thread it is in: shares joined are a share again.
 *
 * @module
 */
import type { Diagnostic } from "../../lib/diagnostics.ts";
import type { MetricFigures } from "../../lib/merge-metrics.ts";
import type { Secrets, Snapshot } from "../../snapshot/mod.ts";

export interface Configuration {
  readonly snapshot: Snapshot;
  readonly secrets: Secrets;
}

export interface BoundAddress {
  readonly address: string;
  readonly port: number;
}

/** One queue of a share: what is told of it to others. */
export interface QueueFigures {
  readonly queue: string;
  readonly messages: number;
  /** Time of acceptance of its oldest message. */
  readonly oldest: number | undefined;
}

export interface ShareFigures {
  /** Open SMTP sessions, counted before the queues: one that has ended brought no message unseen. */
  readonly sessions: number;
  readonly queues: readonly QueueFigures[];
}

/** A configuration made ready beside the one in force. Exactly one of take() and drop() ends it. */
export interface PreparedShare {
  /** Bindings that cannot be opened, certificates that do not load. The rest is ready. */
  readonly diagnostics: readonly Diagnostic[];
  /** In force. Resolves when waiting mail has been woken for it. Never rejects while the share lives. */
  take(): Promise<void>;
  /** What was in force stays. */
  drop(): Promise<void>;
}

export interface Share {
  /** Rejects when it cannot be in force; then nothing has changed. One at a time. */
  prepare(next: Configuration): Promise<PreparedShare>;
  /** From here on mail flows. */
  startWork(): Promise<void>;
  setDraining(draining: boolean): Promise<void>;
  /** As of the last take(). */
  bindings(): readonly BoundAddress[];
  look(): Promise<ShareFigures>;
  /** Brings its metrics up to date; those that are not in the registry of the main thread. */
  metrics(): Promise<readonly MetricFigures[]>;
  /** Ends what moves mail, open transactions within graceMs. The queue stays open. */
  rest(graceMs: number): Promise<void>;
  close(): Promise<void>;
}
