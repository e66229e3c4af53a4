/**
 * Compiles one transport from what the view holds: the same code, and so the same verdict, as `postroom check`.
 *
 * In: the view, the Secrets, the last good snapshot. Out: snapshot, chunks, diagnostics by object. Memory makes an
 * unchanged object cost nothing.
 *
 * @module
 */
import type { AnyResource } from "../crds/mod.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import {
  type CompileMemory,
  type CompileResult,
  compileSnapshot,
  entriesByObject,
  type Secrets,
  type Snapshot,
} from "../snapshot/mod.ts";
import type { HeldObject } from "./types.ts";
import { type ClusterView, OUR_KINDS } from "./view.ts";

export interface Compilation {
  readonly snapshot: Snapshot;
  readonly packed: NonNullable<CompileResult["packed"]>;
  /** kind/namespace/name -> its diagnostics. */
  readonly diagnostics: ReadonlyMap<string, readonly Diagnostic[]>;
  /** kind/namespace/name -> the entry in force, the same value for as long as it says the same. */
  readonly entries: ReadonlyMap<string, unknown>;
  /** uid -> generation of every object that was looked at. */
  readonly generations: ReadonlyMap<string, number | undefined>;
}

export interface CompileRequest {
  /** namespace/name. */
  readonly transport: string;
  readonly secrets: Secrets | undefined;
  readonly lastGood: Snapshot | undefined;
  /** kind/namespace/name -> generation that a pod refused: it falls back until it is edited. */
  readonly refused: ReadonlyMap<string, number>;
  /** ms since 1970. */
  readonly now: number;
  readonly memory: CompileMemory;
}

/** undefined: there is no MailTransport that could be compiled; the diagnostics say why. */
export function compileTransport(
  view: ClusterView,
  request: CompileRequest,
): {
  readonly compiled: Compilation | undefined;
  readonly diagnostics: readonly Diagnostic[];
} {
  const { resources, broken, generations } = gather(view, request.refused);
  const { snapshot, packed, diagnostics } = compileSnapshot({
    resources,
    broken,
    transport: request.transport,
    previous: request.lastGood,
    secrets: request.secrets,
    namespaces: view.namespaces(),
    now: request.now,
    memory: request.memory,
  });
  if (snapshot === undefined || packed === undefined) return { compiled: undefined, diagnostics };
  const compiled = {
    snapshot,
    packed,
    diagnostics: byObject(diagnostics),
    entries: entriesByObject(snapshot),
    generations,
  };
  return { compiled, diagnostics };
}

/** What exists and is right, and the names of what exists and is not. */
function gather(view: ClusterView, refused: ReadonlyMap<string, number>) {
  const resources: AnyResource[] = [];
  const broken: string[] = [];
  const generations = new Map<string, number | undefined>();
  for (const kind of OUR_KINDS) {
    for (const held of view.objects(kind)) {
      const name = nameOf(held);
      generations.set(held.metadata.uid ?? "", held.metadata.generation);
      const isRefused = refused.has(name) && refused.get(name) === held.metadata.generation;
      if (held.resource === undefined || isRefused) broken.push(name);
      else resources.push(held.resource);
    }
  }
  return { resources, broken, generations };
}

/** kind/namespace/name, as a Diagnostic names its object. */
export function nameOf({ kind, key }: Pick<HeldObject, "kind" | "key">): string {
  return `${kind}/${key}`;
}

/** namespace/name of every Secret that the snapshot names. */
export function secretNames({ receiveConnectors, sendConnectors }: Snapshot): ReadonlySet<string> {
  const names = [
    ...receiveConnectors.flatMap(({ tls, credentials }) => [...tls.certificates, credentials]),
    ...sendConnectors.flatMap(({ tls, auth }) => [tls.ca, tls.clientCertificate, auth?.secret]),
  ];
  return new Set(names.filter((name) => name !== undefined));
}

function byObject(diagnostics: readonly Diagnostic[]): Map<string, Diagnostic[]> {
  const map = new Map<string, Diagnostic[]>();
  for (const diagnostic of diagnostics) {
    const list = map.get(diagnostic.object);
    if (list === undefined) map.set(diagnostic.object, [diagnostic]);
    else list.push(diagnostic);
  }
  return map;
}
