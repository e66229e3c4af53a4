/** WakeWaiting: what a change of configuration means for mail that waits. */
import { parseNextHopKey } from "../mail/next-hop.ts";
import type { SendConnectorEntry } from "../snapshot/schema.ts";
import type { Configuration } from "./configuration-source.ts";
import { leadsTo } from "./dispatch.ts";
import type { Queue } from "./queue/mod.ts";

/** Unreachable mail is routed again; next hops whose connector or its Secrets changed are tried now. */
export async function wakeWaiting(
  next: Configuration,
  before: Configuration | undefined,
  queue: Queue,
): Promise<void> {
  await queue.retry({ queue: "Unreachable" }, { resubmit: true });
  if (before === undefined) return;
  const changed = changedConnectors(before, next);
  if (changed.size === 0) return;
  const connectors = byName(next);
  for (const row of await queue.summary()) {
    const hop = parseNextHopKey(row.nextHop);
    if (row.queue !== "Delivery" || !changed.has(hop.connector)) continue;
    const resubmit = !leadsTo(connectors.get(hop.connector), hop);
    await queue.retry({ queue: "Delivery", nextHop: row.nextHop }, { resubmit });
  }
}

/** Names of those that came, went, or lead elsewhere now. */
function changedConnectors(before: Configuration, next: Configuration): ReadonlySet<string> {
  const [old, now] = [byName(before), byName(next)];
  const isSame = (name: string) => {
    const [a, b] = [old.get(name), now.get(name)];
    return a !== undefined && b !== undefined && isDeeplyEqual(dependsOn(a, before), dependsOn(b, next));
  };
  return new Set([...old.keys(), ...now.keys()].filter((name) => !isSame(name)));
}

function byName({ snapshot }: Configuration): ReadonlyMap<string, SendConnectorEntry> {
  return new Map(snapshot.sendConnectors.map((connector) => [connector.name, connector]));
}

/** All that a delivery through a connector depends on. */
function dependsOn(connector: SendConnectorEntry, { secrets }: Configuration): readonly unknown[] {
  const { tls, auth } = connector;
  const names = [tls.ca, tls.clientCertificate, auth?.secret];
  return [connector, ...names.map((name) => name && secrets.get(name))];
}

/** What did not change is mostly the very same object, and is not looked into. */
function isDeeplyEqual(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.every((one, at) => one === b[at] || JSON.stringify(one) === JSON.stringify(b[at]));
}
