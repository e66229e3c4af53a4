/** Checks manifests offline: every fault of the files, then every diagnostic of every MailTransport in them, at its line. Pure. */
import {
  type Fault,
  type LoadedManifests,
  type ManifestFile,
  parseManifests,
  qualifiedName,
} from "../crds/mod.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import { compileSnapshot } from "./compile.ts";

export interface CheckResult {
  /** What keeps an object out of force. */
  readonly faults: readonly Fault[];
  /** What is in force but looks like a slip. */
  readonly warnings: readonly Fault[];
}

/** `now` in ms since 1970; left out: certificates are not checked for their dates. */
export function checkManifests(files: readonly ManifestFile[], now?: number): CheckResult {
  const loaded = parseManifests(files);
  const located = locate(compileAll(loaded, now), loaded);
  const broken = new Set(loaded.broken);
  return {
    // A broken object has its faults listed already: that it would be dropped is no news.
    faults: sortFaults([
      ...loaded.faults,
      ...located
        .filter(({ severity, fault }) => severity === "error" && !broken.has(fault.object))
        .map(toFault),
    ]),
    warnings: sortFaults(located.filter(({ severity }) => severity === "warning").map(toFault)),
  };
}

/** Places the diagnostics of a compilation in the files they come from. */
export function locateDiagnostics(diagnostics: readonly Diagnostic[], loaded: LoadedManifests): Fault[] {
  return locate(diagnostics, loaded).map(toFault);
}

function compileAll(loaded: LoadedManifests, now: number | undefined): Diagnostic[] {
  const resources = loaded.resources.map(({ resource }) => resource);
  const { broken, incomplete, secrets, namespaces } = loaded;
  const transports = resources.filter(({ kind }) => kind === "MailTransport").map(qualifiedName);
  if (transports.length === 0) return resources.length === 0 ? [] : [noTransport()];
  return transports.flatMap((transport) => [
    ...compileSnapshot({ resources, transport, broken, incomplete, secrets, namespaces, now }).diagnostics,
  ]);
}

/** One folder of several may well hold rules alone: worth a word, no fault. */
function noTransport(): Diagnostic {
  return {
    object: "",
    path: "",
    reason: "TransportNotFound",
    message: "there is no MailTransport among these manifests: what needs other objects was not checked",
    severity: "warning",
  };
}

interface Located {
  readonly severity: Diagnostic["severity"];
  readonly fault: Fault;
}

function locate(diagnostics: readonly Diagnostic[], loaded: LoadedManifests): Located[] {
  const places = new Map(
    loaded.resources.map((one) => [`${one.resource.kind}/${qualifiedName(one.resource)}`, one]),
  );
  const first = loaded.resources[0];
  return diagnostics.map(({ object, path, message, severity }) => {
    const place = places.get(object);
    const file = (place ?? first)?.file ?? "";
    const line = place?.lineOf(path) ?? 1;
    return { severity, fault: { file, line, field: path, object, reason: message } };
  });
}

function toFault({ fault }: Located): Fault {
  return fault;
}

/** By place; what several transports say alike is said once. */
function sortFaults(faults: readonly Fault[]): Fault[] {
  const unique = new Map(faults.map((fault) => [JSON.stringify(fault), fault]));
  return [...unique.values()].sort((a, b) =>
    a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1,
  );
}
