/**
 * Last good forms: what stays in force of the previous snapshot because its object is broken now.
 *
 * A blocking rule that somebody broke must not let mail through, and a folder that cannot be read in full
 * must not look as if objects had been deleted. Pure.
 *
 * @module
 */
import type { Diagnostic } from "../lib/diagnostics.ts";
import { entriesByObject } from "./entries.ts";
import { type NamespaceVerdict, namespaceOf } from "./namespaces.ts";
import type { Snapshot } from "./schema.ts";

export interface LastGoodInput {
  readonly previous: Snapshot | undefined;
  /** kind/namespace/name of objects that have a fault. */
  readonly broken: ReadonlySet<string>;
  /** kind/namespace/name of objects that are right. Asked for only when something is not. */
  present(): ReadonlySet<string>;
  /** Some manifests could not even be named. */
  readonly incomplete: boolean;
}

export interface Held<Entry> {
  readonly entries: readonly Entry[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Entries of one kind that stay in force. */
export function holdEntries<Entry extends { readonly name: string }>(
  kind: string,
  previous: readonly Entry[],
  { broken, present, incomplete, judge }: HoldInput,
): Held<Entry> {
  const names = namesOfKind(broken, kind);
  const entries: Entry[] = [];
  const diagnostics: Diagnostic[] = [];
  if (names.size === 0 && !incomplete) return { entries, diagnostics };
  for (const entry of previous) {
    const isBroken = names.has(entry.name);
    if (!isBroken && !incomplete) continue;
    const object = `${kind}/${entry.name}`;
    if (present().has(object)) continue;
    const verdict = judge(namespaceOf(entry.name));
    if (!verdict.allowed && !(verdict.unknown && incomplete)) {
      diagnostics.push(notAllowed(object, verdict.message));
      continue;
    }
    entries.push(entry);
    diagnostics.push(isBroken ? fallBack(object) : unreadable(object));
  }
  return { entries, diagnostics };
}

export interface HoldInput extends LastGoodInput {
  /** Whether objects of a namespace may attach: one that was held may have lost the right meanwhile. */
  judge(namespace: string): NamespaceVerdict;
}

/** Broken objects of the transport's namespace that have no earlier form. Secrets are none of the snapshot's. */
export function droppedObjects(
  transport: string,
  { previous, broken, present }: LastGoodInput,
): Diagnostic[] {
  const namespace = namespaceOf(transport);
  const before = previousOf(transport, previous);
  const held = before && entriesByObject(before);
  return [...broken]
    .filter((object) => object.split("/")[1] === namespace && !object.startsWith("Secret/"))
    .filter((object) => object !== `MailTransport/${transport}`)
    .filter((object) => !held?.has(object) && !present().has(object))
    .map(dropped);
}

/** The previous snapshot, when it is this transport's. */
export function previousOf(transport: string, previous: Snapshot | undefined): Snapshot | undefined {
  return previous?.transport.name === transport ? previous : undefined;
}

export function fallBack(object: string): Diagnostic {
  return {
    object,
    path: "",
    reason: "Invalid",
    message: "Fall Back: the last good form stays in force until the faults are mended",
    severity: "error",
  };
}

export function dropped(object: string): Diagnostic {
  return {
    object,
    path: "",
    reason: "Invalid",
    message: "Dropped: it has faults and there is no earlier form to fall back to",
    severity: "error",
  };
}

function unreadable(object: string): Diagnostic {
  return {
    object,
    path: "",
    reason: "Unreadable",
    message:
      "Fall Back: it is missing, but some manifests cannot be read, so it stays in force until they can",
    severity: "warning",
  };
}

function notAllowed(object: string, message: string): Diagnostic {
  return { object, path: "metadata.namespace", reason: "NotAllowedByTransport", message, severity: "error" };
}

function namesOfKind(objects: ReadonlySet<string>, kind: string): ReadonlySet<string> {
  const prefix = `${kind}/`;
  return new Set([...objects].filter((one) => one.startsWith(prefix)).map((one) => one.slice(prefix.length)));
}
