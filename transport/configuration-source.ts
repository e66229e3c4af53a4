/**
 * ConfigurationSource: where configurations come from (a folder of manifests, the cluster), as the reloader sees it.
 *
 * The reloader asks for what shall be in force, puts it in force or fails to, and says which. What a source keeps to
 * itself: how changes reach it, when it asks again, who is told.
 *
 * @module
 */
import type { Secrets, Snapshot } from "../snapshot/mod.ts";
import type { Keeping } from "./snapshot-store.ts";

export interface Configuration {
  readonly snapshot: Snapshot;
  readonly secrets: Secrets;
}

export interface Offer extends Configuration {
  /** What to keep on disk once it is in force; undefined: it came from there. */
  readonly keep: Keeping | undefined;
}

export type Outcome = { readonly inForce: true } | ({ readonly inForce: false } & Refusal);

export interface Refusal {
  /** Object, field, mend. */
  readonly message: string;
  /** kind/namespace/name of the objects at fault, as far as known. */
  readonly objects: readonly string[];
}

export interface ConfigurationSource {
  /**
   * True: somebody hears of a refusal. Then a configuration is in force whole or not at all, and a transport without one
   * waits for the next. False: what can be in force is, the rest is told in the log, and the first one decides.
   */
  readonly hearsRefusals: boolean;
  /** What shall be in force; undefined: nothing new. Rejects when it cannot be had, with RefusedError when it is wrong. */
  read(inForce: Configuration | undefined): Promise<Offer | undefined>;
  /** What became of the last offer, or of a read that was refused. */
  settled(outcome: Outcome): void;
  /** The last offer could not be tried, for a reason that is not its own: it is offered again later. */
  failed(message: string): void;
  /** Calls `changed` when read() may have something new; the result stops it. */
  watch(changed: () => void): () => void;
  /** Why there is nothing to offer, for people. */
  waitsFor(): string;
}

/** What is offered is wrong: it will not do, however often it is tried. */
export class RefusedError extends Error implements Refusal {
  override readonly name = "RefusedError";
  readonly objects: readonly string[];

  constructor(message: string, options: ErrorOptions & { readonly objects?: readonly string[] } = {}) {
    super(message, options);
    this.objects = options.objects ?? [];
  }
}

/** What is offered could not be tried, and may well do later: too many files are open, or no memory is left. */
export class PassingError extends Error {
  override readonly name = "PassingError";
}
