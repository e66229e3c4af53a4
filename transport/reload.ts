/**
 * Reload: from what a source offers to the configuration in force, again after every change, one after the other.
 *
 * The new pipeline is built beside the old one and swapped whole; then the last good snapshot is written to disk, and the
 * source hears what became of its offer. Whatever fails leaves what was in force, and says which object, which field, and
 * the mend.
 *
 * @module
 */
import type { Clock } from "../lib/clock.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import type { Logger } from "../lib/log.ts";
import type { Metrics } from "../lib/metrics.ts";
import type { Secrets, Snapshot } from "../snapshot/mod.ts";
import {
  type Configuration,
  type ConfigurationSource,
  PassingError,
  RefusedError,
} from "./configuration-source.ts";
import type { Keeping, SnapshotStore } from "./snapshot-store.ts";

const KEEP_AGAIN_MS = 30_000;

export interface ReloadDeps {
  readonly source: ConfigurationSource;
  readonly store: SnapshotStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Opens what the first configuration needs. What fails here is no fault of the configuration. */
  open(first: Configuration): Promise<void>;
  /** Puts a configuration in force, or throws: then the old one stays. */
  apply(next: Configuration, before: Configuration | undefined): Promise<readonly Diagnostic[]>;
}

export interface Reload {
  current(): Configuration | undefined;
  /**
   * Resolves when the first configuration is in force; every change is followed from then on. Rejects when there is none
   * and none can be waited for, and when `signal` ends the wait.
   */
  start(signal?: AbortSignal): Promise<void>;
  /** Follows no more. */
  stop(): void;
}

export function createReload(deps: ReloadDeps): Reload {
  const { source, clock, log, metrics } = deps;
  const first = Promise.withResolvers<void>();
  let current: Configuration | undefined;
  let turn: Promise<void> = Promise.resolve();
  let stopWatching = () => {};
  let isStopped = false;
  const keeper = createKeeper(deps, (write) => {
    turn = turn.then(write);
  });

  const once = async () => {
    const began = clock.now();
    const offer = await source.read(current);
    if (offer === undefined || isStopped) return;
    const { snapshot, secrets } = offer;
    const isNew = current === undefined || !isSame(current, offer);
    if (isNew) {
      if (current === undefined) await deps.open(offer);
      const faults = await deps.apply({ snapshot, secrets }, current).catch(refuse);
      for (const fault of faults)
        log.warn({ object: fault.object, field: fault.path, reason: fault.reason }, fault.message);
      current = { snapshot, secrets };
    }
    await keeper.keep(offer.keep);
    source.settled({ inForce: true });
    first.resolve();
    const digest = snapshot.digest.slice(0, 12);
    if (!isNew) {
      log.debug({ digest }, "configuration as it was");
      return;
    }
    metrics.reloads.inc({ outcome: "applied" });
    metrics.reloadSeconds.observe((clock.now() - began) / 1000);
    log.info({ digest, ms: clock.now() - began, ...counts(snapshot) }, "configuration in force");
  };
  const fail = (cause: unknown) => {
    const refused = cause instanceof RefusedError ? cause : undefined;
    metrics.reloads.inc({ outcome: refused ? "refused" : "failed" });
    if (current === undefined && !(refused && source.hearsRefusals)) throw cause;
    const instead = current === undefined ? "there is none yet" : "the last one stays";
    log.error({ cause: messageOf(cause) }, `configuration not applied, ${instead}`);
    if (refused) source.settled({ inForce: false, message: refused.message, objects: refused.objects });
    else source.failed(messageOf(cause));
  };
  const run = () => {
    if (isStopped) return turn;
    const next = turn.then(once).catch(fail);
    turn = next.catch(() => {});
    return next;
  };
  return {
    current: () => current,
    async start(signal) {
      await run();
      signal?.throwIfAborted();
      signal?.addEventListener("abort", () => first.reject(signal.reason));
      if (isStopped) return;
      stopWatching = source.watch(() => void run().catch(first.reject));
      await first.promise;
    },
    stop() {
      isStopped = true;
      keeper.stop();
      stopWatching();
    },
  };
}

/** It cannot be built, bound or loaded: that is its own fault. */
function refuse(cause: unknown): never {
  if (cause instanceof RefusedError || cause instanceof PassingError) throw cause;
  throw new RefusedError(messageOf(cause), { cause });
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

interface Keeper {
  keep(keeping: Keeping | undefined): Promise<void>;
  stop(): void;
}

/**
 * A disk that takes nothing undoes no change: it is in force, and a restart begins with an older one until the disk takes
 * it, or a newer one. `later` puts a write in line with all others.
 */
function createKeeper(
  { store, clock, log }: ReloadDeps,
  later: (write: () => Promise<void>) => void,
): Keeper {
  const stopped = new AbortController();
  let newest: Keeping | undefined;
  const write = async () => {
    const keeping = newest;
    if (keeping === undefined) return;
    try {
      await store.keep(keeping);
      newest = undefined;
    } catch (cause) {
      const retryMs = KEEP_AGAIN_MS;
      log.error(
        { cause: String(cause), retryMs },
        "last good snapshot not written: a restart begins with an older one",
      );
      const again = () => later(() => (newest === keeping ? write() : Promise.resolve()));
      clock.sleep(retryMs, stopped.signal).then(again, () => {});
    }
  };
  return {
    keep(keeping) {
      newest = keeping ?? newest;
      return keeping === undefined ? Promise.resolve() : write();
    },
    stop: () => stopped.abort(),
  };
}

function isSame(a: Configuration, b: Configuration): boolean {
  return a.snapshot.digest === b.snapshot.digest && sameSecrets(a.secrets, b.secrets);
}

function sameSecrets(a: Secrets, b: Secrets): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  return [...a].every(([name, keys]) => JSON.stringify(keys) === JSON.stringify(b.get(name)));
}

function counts(snapshot: Snapshot) {
  return {
    receiveConnectors: snapshot.receiveConnectors.length,
    sendConnectors: snapshot.sendConnectors.length,
    acceptedDomains: snapshot.acceptedDomains.length,
    rules: snapshot.rules.length,
  };
}
