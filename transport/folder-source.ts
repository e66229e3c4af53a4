/**
 * FolderSource: configurations from a folder of manifests. Gather (files), compile (pure; the last good form at hand), report.
 *
 * Nobody hears a refusal but who reads the log: what one object got wrong stops that object only.
 *
 * @module
 */
import {
  type AnyResource,
  formatFault,
  type LoadedManifests,
  ManifestMemory,
  parseManifests,
  qualifiedName,
} from "../crds/mod.ts";
import type { Clock } from "../lib/clock.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import type { Logger } from "../lib/log.ts";
import { CompileMemory, compileSnapshot, type Secrets, type Snapshot } from "../snapshot/mod.ts";
import { type ConfigurationSource, RefusedError } from "./configuration-source.ts";
import { openManifestFolder } from "./manifest-folder.ts";
import { supplySelfSigned } from "./self-signed.ts";

export interface FolderOptions {
  /** Folder of manifests, watched. */
  readonly manifests: string;
  /** namespace/name or name of the MailTransport; undefined: the only one. */
  readonly transportName?: string | undefined;
  /** Makes certificates for TLS Secrets that the folder does not hold. */
  readonly selfSigned?: boolean | undefined;
}

export interface FolderSourceDeps {
  readonly state: string;
  /** The last good snapshot of an earlier process. */
  readonly previous: Snapshot | undefined;
  /** Worker threads that this process runs. */
  readonly workers: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Rejects when there is no such folder. */
export async function openFolderSource(
  options: FolderOptions,
  deps: FolderSourceDeps,
): Promise<ConfigurationSource> {
  const { log, workers } = deps;
  let { previous } = deps;
  const folder = await openManifestFolder(options.manifests, deps.clock);
  const manifestMemory = new ManifestMemory();
  const memory = new CompileMemory();
  const supply = async (resources: readonly AnyResource[], secrets: Secrets) =>
    options.selfSigned ? supplySelfSigned(resources, secrets, { directory: deps.state, log }) : secrets;
  let reported = "";
  let warned = "";
  return {
    hearsRefusals: false,
    async read(inForce) {
      const loaded = parseManifests(await folder.read(), manifestMemory);
      const resources = loaded.resources.map(({ resource }) => resource);
      const secrets = await supply(resources, mergeSecrets(loaded, inForce?.secrets));
      const { broken, incomplete, namespaces } = loaded;
      const transport = options.transportName;
      previous = inForce?.snapshot ?? previous;
      const input = { resources, transport, previous, broken, incomplete, secrets, namespaces, memory };
      const { snapshot, packed, diagnostics } = compileSnapshot(input);
      reported = report(loaded, diagnostics, { log, reported });
      if (snapshot === undefined || packed === undefined)
        throw new RefusedError("Cannot start: no MailTransport is in force, see the faults above");
      warned = warnOfIgnored(resources, snapshot, { log, workers, warned });
      const { digest, chunks } = packed;
      return { snapshot, secrets, keep: { digest, digests: [...chunks.keys()], texts: chunks } };
    },
    settled: () => {},
    failed: () => {},
    watch: (changed) => folder.watch(changed),
    waitsFor: () => "there is no MailTransport in the manifests",
  };
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

/** What is accepted but means nothing to one process, said when it changes. Returns what was said. */
function warnOfIgnored(
  resources: readonly AnyResource[],
  { transport }: Snapshot,
  { log, workers, warned }: { log: Logger; workers: number; warned: string },
): string {
  const found = resources.find(
    (one) => qualifiedName(one) === transport.name && one.kind === "MailTransport",
  );
  const spec = found?.kind === "MailTransport" ? found.spec : undefined;
  const ignored = new Map([
    [
      "spec.replicas",
      spec === undefined || spec.replicas === 1
        ? undefined
        : `is ${spec.replicas}, but a standalone transport is always one process`,
    ],
    [
      "spec.workers",
      spec === undefined || spec.workers === 1 || spec.workers === workers
        ? undefined
        : `is ${spec.workers}, but a standalone transport is told by --workers: it runs ${workers}`,
    ],
    [
      "spec.rollbackTo",
      spec?.rollbackTo === undefined
        ? undefined
        : "is for transports in a cluster: put the earlier manifests back",
    ],
  ]);
  const key = JSON.stringify([...ignored]);
  if (key === warned) return key;
  for (const [field, what] of ignored) {
    if (what === undefined) continue;
    log.warn({ object: `MailTransport/${transport.name}`, field, reason: "Standalone" }, `${field} ${what}`);
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
