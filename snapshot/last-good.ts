/**
 * Last good forms: what stays in force of the previous snapshot because its object is broken now.
 *
 * A blocking rule that somebody broke must not let mail through, and a folder that cannot be read in full
 * must not look as if objects had been deleted. Pure.
 *
 * @module
 */
import type { Diagnostic } from "../lib/diagnostics.ts";
import type { Snapshot } from "./schema.ts";

export interface LastGoodInput {
  readonly previous: Snapshot | undefined;
  /** kind/namespace/name of objects that have a fault. */
  readonly broken: ReadonlySet<string>;
  /** kind/namespace/name of objects that are right. */
  readonly present: ReadonlySet<string>;
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
  { broken, present, incomplete }: LastGoodInput,
): Held<Entry> {
  const entries: Entry[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const entry of previous) {
    const object = `${kind}/${entry.name}`;
    if (present.has(object)) continue;
    if (!broken.has(object) && !incomplete) continue;
    entries.push(entry);
    diagnostics.push(broken.has(object) ? fallBack(object) : unreadable(object));
  }
  return { entries, diagnostics };
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
