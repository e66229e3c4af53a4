/**
 * Reload: from the manifests of a folder to the configuration in force, again after every change.
 *
 * Gather (files), compile (pure; the last good snapshot at hand), build the new pipeline beside the old one, act (swap).
 * Whatever fails leaves what was in force, and says which object, which field, and the mend.
 *
 * @module
 */
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import {
  type AnyResource,
  formatFault,
  type LoadedManifests,
  ManifestMemory,
  parseManifests,
} from "../crds/mod.ts";
import type { Clock } from "../lib/clock.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import type { Logger } from "../lib/log.ts";
import type { Metrics } from "../lib/metrics.ts";
import { compileSnapshot, parseSnapshot, type Secrets, type Snapshot } from "../snapshot/mod.ts";
import type { ManifestFolder } from "./manifest-folder.ts";

export interface Configuration {
  readonly snapshot: Snapshot;
  readonly secrets: Secrets;
}

export interface ReloadDeps {
  readonly folder: ManifestFolder;
  readonly stateDirectory: string;
  /** namespace/name or name; undefined: the only one there is. */
  readonly transportName: string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Secrets that the folder does not hold but somebody else makes (self-signed certificates). */
  supply(resources: readonly AnyResource[], secrets: Secrets): Promise<Secrets>;
  /** Puts a configuration in force, or throws: then the old one stays. */
  apply(next: Configuration, before: Configuration | undefined): Promise<readonly Diagnostic[]>;
}

export interface Reload {
  current(): Configuration | undefined;
  /** What the folder says now, compiled and not put in force: what must be known before the rooms open. Rejects when nothing is valid. */
  look(): Promise<Snapshot>;
  /** Reads and applies once; resolves when it is in force or refused. Never rejects after the first success. */
  run(): Promise<void>;
  /** Follows the folder until stopped. */
  follow(): () => void;
}

/** Makes the reloader; nothing is read yet but the last good snapshot. */
export async function createReload(deps: ReloadDeps): Promise<Reload> {
  const { folder, clock, log, metrics } = deps;
  let previous = await readLastGood(deps.stateDirectory, log);
  const memory = new ManifestMemory();
  let current: Configuration | undefined;
  let reported = "";
  let queue: Promise<void> = Promise.resolve();

  /** Gather and compile. undefined: nothing new is valid, and what is in force stays. */
  const compile = async (): Promise<Configuration | undefined> => {
    const loaded = parseManifests(await folder.read(), memory);
    const resources = loaded.resources.map(({ resource }) => resource);
    const secrets = await deps.supply(resources, mergeSecrets(loaded, current?.secrets));
    const { broken, incomplete } = loaded;
    const transport = deps.transportName;
    const { snapshot, diagnostics } = compileSnapshot({
      resources,
      transport,
      previous,
      broken,
      incomplete,
      secrets,
    });
    reported = report(loaded, diagnostics, { log, reported });
    if (snapshot !== undefined) return { snapshot, secrets };
    metrics.reloads.inc({ outcome: "refused" });
    if (current !== undefined) return undefined;
    throw new Error("Cannot start: no MailTransport is in force, see the faults above");
  };
  const once = async () => {
    const seen = clock.now();
    const next = await compile();
    if (next === undefined) return;
    const { snapshot, secrets } = next;
    if (current?.snapshot.digest === snapshot.digest && sameSecrets(current.secrets, secrets)) {
      log.debug({ digest: snapshot.digest.slice(0, 12) }, "configuration as it was");
      return;
    }
    const faults = await deps.apply(next, current);
    for (const fault of faults)
      log.warn({ object: fault.object, field: fault.path, reason: fault.reason }, fault.message);
    current = next;
    previous = snapshot;
    await writeLastGood(deps.stateDirectory, snapshot);
    metrics.reloads.inc({ outcome: "applied" });
    metrics.reloadSeconds.observe((clock.now() - seen) / 1000);
    log.info(
      { digest: snapshot.digest.slice(0, 12), ms: clock.now() - seen, ...counts(snapshot) },
      "configuration in force",
    );
  };
  const safely = async () => {
    try {
      await once();
    } catch (cause) {
      metrics.reloads.inc({ outcome: "failed" });
      if (current === undefined) throw cause;
      log.error(
        { cause: cause instanceof Error ? cause.message : String(cause) },
        "configuration not applied, the last one stays",
      );
    }
  };
  const run = () => {
    const next = queue.then(safely);
    queue = next.catch(() => {});
    return next;
  };
  const look = async () => {
    const found = await compile();
    if (found === undefined) throw new Error("Nothing is in force yet");
    return found.snapshot;
  };
  return { current: () => current, look, run, follow: () => folder.watch(() => void run()) };
}

/** Logs what is wrong, once for as long as it stays the same. */
function report(
  loaded: LoadedManifests,
  diagnostics: readonly Diagnostic[],
  { log, reported }: { log: Logger; reported: string },
): string {
  const key = JSON.stringify([loaded.faults, diagnostics]);
  if (key === reported) return key;
  for (const fault of loaded.faults) log.error({ object: fault.object }, formatFault(fault));
  for (const { object, path, reason, message, severity } of diagnostics) {
    log[severity === "error" ? "error" : "warn"]({ object, field: path, reason }, message);
  }
  return key;
}

/** While some document cannot be read, a Secret that seems gone stays. */
function mergeSecrets(loaded: LoadedManifests, before: Secrets | undefined): Secrets {
  if (before === undefined) return loaded.secrets;
  const broken = new Set(loaded.broken);
  const kept = [...before].filter(([name]) => loaded.incomplete || broken.has(`Secret/${name}`));
  return new Map([...kept, ...loaded.secrets]);
}

function sameSecrets(a: Secrets, b: Secrets): boolean {
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

const LAST_GOOD = "snapshot.json";

async function readLastGood(directory: string, log: Logger): Promise<Snapshot | undefined> {
  const text = await readFile(join(directory, LAST_GOOD), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const parsed = parseSnapshot(text);
  if (parsed.ok) return parsed.value;
  log.warn({ faults: parsed.diagnostics.length }, "last good snapshot is not readable, going on without it");
  return undefined;
}

async function writeLastGood(directory: string, snapshot: Snapshot): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, LAST_GOOD);
  const file = await open(`${path}.tmp`, "w", 0o600);
  try {
    await file.writeFile(JSON.stringify(snapshot));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.tmp`, path);
}
