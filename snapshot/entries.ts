/** The entries of a snapshot by the objects they come from. */
import type { Snapshot } from "./schema.ts";

interface Entry {
  readonly name: string;
}

/** Both are remembered for as long as what they are made from lives: ten thousand names cost time. */
const maps = new WeakMap<Snapshot, ReadonlyMap<string, object>>();
const names = new WeakMap<Entry, string>();

/** kind/namespace/name -> entry. Entries that are the same value in two snapshots are in force in the same form. */
export function entriesByObject(snapshot: Snapshot): ReadonlyMap<string, object> {
  const known = maps.get(snapshot);
  if (known !== undefined) return known;
  const entries = new Map<string, object>();
  const add = (kind: string, some: readonly Entry[]) => {
    for (const entry of some) entries.set(nameOf(kind, entry), entry);
  };
  add("MailTransport", [snapshot.transport]);
  add("ReceiveConnector", snapshot.receiveConnectors);
  add("SendConnector", snapshot.sendConnectors);
  add("AcceptedDomain", snapshot.acceptedDomains);
  add("TransportRule", snapshot.rules);
  maps.set(snapshot, entries);
  return entries;
}

function nameOf(kind: string, entry: Entry): string {
  const known = names.get(entry);
  if (known !== undefined) return known;
  const name = `${kind}/${entry.name}`;
  names.set(entry, name);
  return name;
}
