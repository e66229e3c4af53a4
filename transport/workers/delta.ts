/**
 * Delta: how one configuration differs from another, as plain values that can be sent to a thread.
 *
 *   const next = applyDelta(before, deltaOf(before, next));
 *
 * What did not change keeps its identity on the other side: a pipeline is built anew only where objects are other ones.
 * Pure.
 *
 * @module
 */
import type { SecretName, Secrets, Snapshot } from "../../snapshot/mod.ts";
import type { Configuration } from "./share.ts";

const LISTS = ["receiveConnectors", "sendConnectors", "acceptedDomains", "rules"] as const;
type ListName = (typeof LISTS)[number];
type Lists = Pick<Snapshot, ListName>;

/** Entries as they stood in the list before, from an index on; or new ones. */
type Run<Entry> = { readonly from: number; readonly count: number } | { readonly items: readonly Entry[] };

export interface Delta {
  /** All of a snapshot but its lists; the transport is left out when it is the same. */
  readonly facts: Omit<Snapshot, ListName | "transport">;
  readonly transport: Snapshot["transport"] | undefined;
  readonly lists: { readonly [Name in ListName]: readonly Run<Lists[Name][number]>[] };
  readonly secrets: {
    readonly set: Secrets;
    readonly removed: readonly SecretName[];
  };
}

/** `before` undefined: all of it is new. */
export function deltaOf(before: Configuration | undefined, next: Configuration): Delta {
  const { transport, receiveConnectors, sendConnectors, acceptedDomains, rules, ...facts } = next.snapshot;
  const old = before?.snapshot;
  return {
    facts,
    transport: old !== undefined && isSame(old.transport, transport) ? undefined : transport,
    lists: {
      receiveConnectors: runsOf(old?.receiveConnectors ?? [], receiveConnectors),
      sendConnectors: runsOf(old?.sendConnectors ?? [], sendConnectors),
      acceptedDomains: runsOf(old?.acceptedDomains ?? [], acceptedDomains),
      rules: runsOf(old?.rules ?? [], rules),
    },
    secrets: secretsDelta(before?.secrets ?? new Map(), next.secrets),
  };
}

/** Throws when the delta is of another configuration than `before`. */
export function applyDelta(before: Configuration | undefined, delta: Delta): Configuration {
  const old = before?.snapshot;
  const transport = delta.transport ?? old?.transport;
  if (transport === undefined) throw new Error("Cannot apply a delta: there is nothing before it");
  const { receiveConnectors, sendConnectors, acceptedDomains, rules } = delta.lists;
  const snapshot: Snapshot = {
    ...delta.facts,
    transport,
    receiveConnectors: listOf(old?.receiveConnectors ?? [], receiveConnectors),
    sendConnectors: listOf(old?.sendConnectors ?? [], sendConnectors),
    acceptedDomains: listOf(old?.acceptedDomains ?? [], acceptedDomains),
    rules: listOf(old?.rules ?? [], rules),
  };
  return { snapshot, secrets: secretsOf(before?.secrets ?? new Map(), delta.secrets) };
}

function runsOf<Entry extends object>(before: readonly Entry[], next: readonly Entry[]): Run<Entry>[] {
  const places = new Map(before.map((entry, at) => [entry, at]));
  const runs: ({ from: number; count: number } | { items: Entry[] })[] = [];
  for (const entry of next) {
    const at = places.get(entry);
    const last = runs.at(-1);
    if (at === undefined) {
      if (last !== undefined && "items" in last) last.items.push(entry);
      else runs.push({ items: [entry] });
    } else if (last !== undefined && "from" in last && last.from + last.count === at) last.count += 1;
    else runs.push({ from: at, count: 1 });
  }
  return runs;
}

function listOf<Entry>(before: readonly Entry[], runs: readonly Run<Entry>[]): readonly Entry[] {
  const [only] = runs;
  if (runs.length === 1 && only !== undefined && "from" in only && only.count === before.length)
    return before;
  return runs.flatMap((run) => {
    if ("items" in run) return run.items;
    if (run.from + run.count > before.length) throw new Error("Cannot apply a delta: it is of another one");
    return before.slice(run.from, run.from + run.count);
  });
}

function secretsDelta(before: Secrets, next: Secrets): Delta["secrets"] {
  const changed = [...next].filter(([name, keys]) => !isSame(before.get(name), keys));
  return { set: new Map(changed), removed: [...before.keys()].filter((name) => !next.has(name)) };
}

function secretsOf(before: Secrets, { set, removed }: Delta["secrets"]): Secrets {
  if (set.size === 0 && removed.length === 0) return before;
  const next = new Map([...before, ...set]);
  for (const name of removed) next.delete(name);
  return next;
}

function isSame(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
