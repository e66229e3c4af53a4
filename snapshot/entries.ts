/** The entries of a snapshot by the objects they come from. */
import type { Snapshot } from "./schema.ts";

const known = new WeakMap<Snapshot, ReadonlyMap<string, object>>();

/** kind/namespace/name -> entry. Entries that are the same value in two snapshots are in force in the same form. */
export function entriesByObject(snapshot: Snapshot): ReadonlyMap<string, object> {
  const before = known.get(snapshot);
  if (before !== undefined) return before;
  const entries = new Map<string, object>([[`MailTransport/${snapshot.transport.name}`, snapshot.transport]]);
  for (const entry of snapshot.receiveConnectors) entries.set(`ReceiveConnector/${entry.name}`, entry);
  for (const entry of snapshot.sendConnectors) entries.set(`SendConnector/${entry.name}`, entry);
  for (const entry of snapshot.acceptedDomains) entries.set(`AcceptedDomain/${entry.name}`, entry);
  for (const entry of snapshot.rules) entries.set(`TransportRule/${entry.name}`, entry);
  known.set(snapshot, entries);
  return entries;
}
