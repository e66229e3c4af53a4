/**
 * Unpacks chunks into the snapshot they hold. Never throws: what is missing, cut off or changed is refused.
 *
 * With the memory of the last call only chunks that are new must be at hand, and entries that did not change are
 * the very same objects: whoever builds something from an entry can keep it.
 *
 * @module
 */
import type { Compiled } from "../lib/diagnostics.ts";
import {
  CHUNKED_KINDS,
  type ChunkedKind,
  type ChunkIndex,
  type PackedSnapshot,
  parseIndex,
  parseJson,
  refuse,
  sha256,
} from "./chunks.ts";
import { byName, byRuleOrder, inOrder } from "./precedence.ts";
import type { RuleEntry, Snapshot, TransportEntry } from "./schema.ts";

interface Entry {
  readonly name: string;
}

interface KindMemory {
  /** Pieces of a bucket, joined -> its entries. */
  readonly buckets: ReadonlyMap<string, readonly Entry[]>;
  /** All entries, in their order in the snapshot. */
  readonly entries: readonly Entry[];
}

/** What one unpacking leaves to the next. Holds entries, no texts. */
export class UnpackMemory {
  kinds: Partial<Readonly<Record<ChunkedKind, KindMemory>>> = {};
  digests: ReadonlySet<string> = new Set();

  /** True: this chunk need not be at hand. */
  has(digest: string): boolean {
    return this.digests.has(digest);
  }
}

/** `packed.chunks` must hold the index and every chunk that `memory` does not have; more do no harm. */
export function unpackSnapshot(packed: PackedSnapshot, memory = new UnpackMemory()): Compiled<Snapshot> {
  const text = readChunk(packed, packed.digest);
  if (typeof text !== "string") return text;
  const index = parseIndex(text);
  if (!index.ok) return index;
  const kinds: Partial<Record<ChunkedKind, KindMemory>> = {};
  for (const kind of CHUNKED_KINDS) {
    const read = unpackKind(index.value[kind], packed, { kind, before: memory.kinds[kind] });
    if (!read.ok) return read;
    kinds[kind] = read.value;
  }
  const transports = entriesOf<TransportEntry>(kinds, "transport");
  const [transport] = transports;
  if (transport === undefined || transports.length > 1) return refuse("is not of one transport");
  memory.kinds = kinds;
  // A piece of a long bucket is worth nothing beside another second piece.
  const whole = CHUNKED_KINDS.flatMap((kind) => index.value[kind].filter(({ length }) => length === 1));
  memory.digests = new Set(whole.flat());
  const value: Snapshot = {
    version: 1,
    digest: packed.digest,
    transport,
    receiveConnectors: entriesOf(kinds, "receiveConnectors"),
    sendConnectors: entriesOf(kinds, "sendConnectors"),
    acceptedDomains: entriesOf(kinds, "acceptedDomains"),
    rules: entriesOf(kinds, "rules"),
  };
  return { ok: true, value, diagnostics: [] };
}

/** The digests vouch for the entries: only packSnapshot() makes them. */
function entriesOf<Kept extends Entry>(
  kinds: Partial<Record<ChunkedKind, KindMemory>>,
  kind: ChunkedKind,
): readonly Kept[] {
  return (kinds[kind]?.entries ?? []) as readonly Kept[];
}

function unpackKind(
  index: ChunkIndex[ChunkedKind],
  packed: PackedSnapshot,
  { kind, before }: { readonly kind: ChunkedKind; readonly before: KindMemory | undefined },
): Compiled<KindMemory> {
  const buckets = new Map<string, readonly Entry[]>();
  const fresh: string[] = [];
  for (const pieces of index) {
    const key = pieces.join();
    const known = before?.buckets.get(key);
    if (known === undefined) fresh.push(key);
    const read = known ?? readBucket(pieces, packed);
    if ("ok" in read) return read;
    buckets.set(key, read);
  }
  if (before !== undefined && fresh.length === 0 && buckets.size === before.buckets.size) {
    return { ok: true, value: before, diagnostics: [] };
  }
  reuseEntries(buckets, fresh, before);
  const compare = kind === "rules" ? byRule : byName;
  const entries = inOrder([...buckets.values()].flat(), before?.entries ?? [], compare);
  return { ok: true, value: { buckets, entries }, diagnostics: [] };
}

function readBucket(pieces: readonly string[], packed: PackedSnapshot) {
  const texts: string[] = [];
  for (const digest of pieces) {
    const text = readChunk(packed, digest);
    if (typeof text !== "string") return text;
    texts.push(text);
  }
  const entries = parseJson(texts.join(""));
  return isEntries(entries)
    ? entries
    : refuse(`has a chunk ${pieces[0]?.slice(0, 12)} that holds no entries`);
}

function readChunk({ chunks }: PackedSnapshot, digest: string) {
  const text = chunks.get(digest);
  if (text === undefined) return refuse(`is not complete: chunk ${digest.slice(0, 12)} is missing`);
  if (sha256(text) !== digest)
    return refuse(`was changed: the digest of chunk ${digest.slice(0, 12)} differs`);
  return text;
}

/** In buckets that are new, entries that stand already elsewhere in the same form are replaced by those. */
function reuseEntries(
  buckets: Map<string, readonly Entry[]>,
  fresh: readonly string[],
  before: KindMemory | undefined,
): void {
  if (before === undefined || fresh.length === 0) return;
  const names = new Set(fresh.flatMap((key) => (buckets.get(key) ?? []).map(({ name }) => name)));
  const gone = [...before.buckets].filter(([key]) => !buckets.has(key)).flatMap(([, entries]) => entries);
  const old = new Map(gone.filter(({ name }) => names.has(name)).map((entry) => [entry.name, entry]));
  for (const key of fresh) {
    const entries = (buckets.get(key) ?? []).map((entry) => {
      const earlier = old.get(entry.name);
      // Both were parsed from canonical JSON: equal content is equal text.
      return earlier !== undefined && JSON.stringify(earlier) === JSON.stringify(entry) ? earlier : entry;
    });
    buckets.set(key, entries);
  }
}

function isEntries(value: unknown): value is Entry[] {
  return (
    Array.isArray(value) &&
    value.every((entry) => typeof entry === "object" && typeof entry?.name === "string")
  );
}

function byRule(a: Entry, b: Entry): number {
  return byRuleOrder(a as RuleEntry, b as RuleEntry);
}
