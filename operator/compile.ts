/**
 * Compiles one transport from what the view holds: the same code, and so the same verdict, as `postroom check`.
 *
 * In: the view, the Secrets, the last good snapshot. Out: snapshot, chunks, diagnostics by object. Memory makes an
 * unchanged object cost nothing; when nothing changed at all, as after most words of a pod, the last result is returned.
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
  type Last,
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
  readonly last: Last<CompileOutcome>;
}

export interface CompileOutcome {
  /** undefined: there is no MailTransport that could be compiled; the diagnostics say why. */
  readonly compiled: Compilation | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** Certificates expire while nothing else changes. */
const LOOK_AGAIN_MS = 60_000;

export function compileTransport(view: ClusterView, request: CompileRequest): CompileOutcome {
  const { lastGood, secrets, refused, now, last } = request;
  const objects = OUR_KINDS.flatMap((kind) => [...view.objects(kind)]);
  const namespaces = view.namespaces();
  const depends = [
    fallsBack(objects, request) ? lastGood : undefined,
    Math.floor(now / LOOK_AGAIN_MS),
    ...[secrets, namespaces, refused].flatMap((map) => (map === undefined ? [map] : [...map].flat())),
    ...objects.map(readingOf),
  ];
  return last.of(depends, () => compileObjects(objects, namespaces, request));
}

/** Only what cannot be compiled as it is asks for what was in force before, which is another snapshot after each change. */
function fallsBack(objects: readonly HeldObject[], { refused, last }: CompileRequest): boolean {
  if (refused.size > 0 || objects.some(({ resource }) => resource === undefined)) return true;
  return last.value?.diagnostics.some(({ severity }) => severity === "error") ?? true;
}

function compileObjects(
  objects: readonly HeldObject[],
  namespaces: ReturnType<ClusterView["namespaces"]>,
  request: CompileRequest,
): CompileOutcome {
  const { resources, broken, generations } = gather(objects, request.refused);
  const { snapshot, packed, diagnostics } = compileSnapshot({
    resources,
    broken,
    transport: request.transport,
    previous: request.lastGood,
    secrets: request.secrets,
    namespaces,
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
function gather(objects: readonly HeldObject[], refused: ReadonlyMap<string, number>) {
  const resources: AnyResource[] = [];
  const broken: string[] = [];
  const generations = new Map<string, number | undefined>();
  for (const held of objects) {
    const { resource, metadata } = held;
    generations.set(metadata.uid ?? "", metadata.generation);
    const isRefused = refused.size > 0 && isNamed(held, refused);
    if (resource === undefined || isRefused) broken.push(nameOf(held));
    else resources.push(resource);
  }
  return { resources, broken, generations };
}

function isNamed(held: HeldObject, refused: ReadonlyMap<string, number>): boolean {
  const { generation } = held.metadata;
  return generation !== undefined && refused.get(nameOf(held)) === generation;
}

/** One value for each reading of an object: another one after an edit, the same one after a write of its status. */
export function readingOf({ resource, faults }: HeldObject): object {
  return resource ?? faults;
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
