/**
 * Conflicts: two objects that claim the same range on a binding, or the same domain. The winner keeps it (precedence.ts),
 * the loser keeps everything else; an object that keeps nothing is not in force. Pure.
 */
import type { Diagnostic } from "../lib/diagnostics.ts";
import { parseIp, parseIpRange } from "../mail/ip-range.ts";
import { byAge, byName, inOrder, type Rank } from "./precedence.ts";
import { sameItems } from "./recall.ts";
import type { AcceptedDomainEntry, ReceiveConnectorEntry } from "./schema.ts";

/** An entry that wants to be in force. */
export interface Candidate<Entry> {
  readonly entry: Entry;
  readonly rank: Rank;
}

export interface Settled<Entry> {
  /** By name. */
  readonly entries: readonly Entry[];
  readonly diagnostics: readonly Diagnostic[];
}

/** The same candidates are settled once, and a loser that keeps the same claims is the same entry. */
export class SettleMemory<Entry extends object> {
  /** Winners first. */
  candidates: readonly Candidate<Entry>[] = [];
  settled: Settled<Entry> = { entries: [], diagnostics: [] };
  readonly losers = new WeakMap<Entry, { readonly kept: readonly string[]; readonly entry: Entry }>();
}

/** Equal ranges on one binding. A range lost on one binding is lost on all: an entry is every binding times every range. */
export function settleRanges(
  candidates: readonly Candidate<ReceiveConnectorEntry>[],
  memory = new SettleMemory<ReceiveConnectorEntry>(),
): Settled<ReceiveConnectorEntry> {
  return settle(candidates, {
    kind: "ReceiveConnector",
    field: "remoteIPRanges",
    claims: (entry) => entry.remoteIPRanges,
    keys: (entry, range) => entry.bindings.map((binding) => `${bindingKey(binding)} ${rangeKey(range)}`),
    keep: (entry, remoteIPRanges) => ({ ...entry, remoteIPRanges }),
    memory,
  });
}

export function settleDomains(
  candidates: readonly Candidate<AcceptedDomainEntry>[],
  memory = new SettleMemory<AcceptedDomainEntry>(),
): Settled<AcceptedDomainEntry> {
  return settle(candidates, {
    kind: "AcceptedDomain",
    field: "domains",
    claims: (entry) => entry.domains,
    keys: (_, domain) => [domain],
    keep: (entry, domains) => ({ ...entry, domains }),
    memory,
  });
}

/** How one kind claims things. */
interface Claiming<Entry extends object> {
  readonly kind: string;
  readonly field: string;
  claims(entry: Entry): readonly string[];
  /** Names that must be free for a claim to be granted. */
  keys(entry: Entry, claim: string): readonly string[];
  keep(entry: Entry, claims: string[]): Entry;
  readonly memory: SettleMemory<Entry>;
}

function settle<Entry extends { readonly name: string }>(
  candidates: readonly Candidate<Entry>[],
  claiming: Claiming<Entry>,
): Settled<Entry> {
  const { memory } = claiming;
  const ordered = inOrder(candidates, memory.candidates, (a, b) => byAge(a.rank, b.rank));
  if (ordered !== memory.candidates) {
    memory.candidates = ordered;
    memory.settled = grant(ordered, claiming);
  }
  return memory.settled;
}

/** Grants each claim to the first that makes it. */
function grant<Entry extends { readonly name: string }>(
  candidates: readonly Candidate<Entry>[],
  claiming: Claiming<Entry>,
): Settled<Entry> {
  const owners = new Map<string, string>();
  const entries: Entry[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const { entry } of candidates) {
    const { kept, lost } = divide(entry, claiming, owners);
    if (kept.length > 0) entries.push(lost.length === 0 ? entry : loserOf(entry, kept, claiming));
    for (const { index, claim, owner } of lost) {
      const rest = kept.length > 0 ? "the rest stays in force" : "nothing is left, so it is not in force";
      diagnostics.push({
        object: `${claiming.kind}/${entry.name}`,
        path: `spec.${claiming.field}[${index}]`,
        reason: "Conflicted",
        message: `${claim} belongs to ${claiming.kind} ${owner}, which was there first; ${rest}`,
        severity: kept.length > 0 ? "warning" : "error",
      });
    }
  }
  return { entries: entries.sort(byName), diagnostics };
}

function loserOf<Entry extends object>(
  entry: Entry,
  kept: string[],
  { keep, memory }: Claiming<Entry>,
): Entry {
  const known = memory.losers.get(entry);
  if (known !== undefined && sameItems(known.kept, kept)) return known.entry;
  const loser = keep(entry, kept);
  memory.losers.set(entry, { kept, entry: loser });
  return loser;
}

interface Lost {
  readonly index: number;
  readonly claim: string;
  readonly owner: string;
}

function divide<Entry extends { readonly name: string }>(
  entry: Entry,
  claiming: Claiming<Entry>,
  owners: Map<string, string>,
): { kept: string[]; lost: Lost[] } {
  const kept: string[] = [];
  const lost: Lost[] = [];
  for (const [index, claim] of claiming.claims(entry).entries()) {
    const keys = claiming.keys(entry, claim);
    const owner = keys.map((key) => owners.get(key)).find((name) => name !== undefined);
    if (owner !== undefined) lost.push({ index, claim, owner });
    else {
      kept.push(claim);
      for (const key of keys) owners.set(key, entry.name);
    }
  }
  return { kept, lost };
}

function bindingKey({ address, port }: ReceiveConnectorEntry["bindings"][number]): string {
  const ip = address === undefined ? undefined : parseIp(address);
  return `${ip === undefined ? "*" : `${ip.family}/${ip.value}`}:${port}`;
}

function rangeKey(text: string): string {
  const range = parseIpRange(text);
  return range === undefined ? text : `${range.family}/${range.first}-${range.last}`;
}
