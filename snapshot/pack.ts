/**
 * Packs the content of a snapshot into chunks. Pure, and the same for the same content in whatever order it was compiled.
 *
 * The entries of a kind are divided by the bits of a hash of their name, bit after bit, until a bucket is small: an entry
 * that changes, comes or goes changes its own bucket's text only, or divides one in two.
 *
 * @module
 */
import { canonicalJson } from "./canonical-json.ts";
import {
  type ChunkedKind,
  formatIndex,
  type PackedSnapshot,
  type SnapshotContent,
  sha256,
} from "./chunks.ts";
import { byName } from "./precedence.ts";
import { sameItems } from "./recall.ts";

interface Entry {
  readonly name: string;
}

interface Bucket {
  /** In the order in which they came. */
  readonly entries: readonly Entry[];
  readonly pieces: readonly { readonly digest: string; readonly text: string }[];
}

interface PackedKind {
  /** In the order in which they came. */
  readonly entries: readonly Entry[];
  /** By path: the bits that the hashes of its entries begin with. */
  readonly buckets: ReadonlyMap<string, Bucket>;
}

interface EntryFacts {
  readonly hash: number;
  /** Characters of its canonical JSON. */
  readonly length: number;
}

/** What one packing leaves to the next: a bucket of the very same entries is not written again. For one transport. */
export class PackMemory {
  readonly facts = new WeakMap<Entry, EntryFacts>();
  readonly kinds = new Map<ChunkedKind, PackedKind>();
}

const MAX_ENTRIES = 128;
/** 256 Ki UTF-16 units are 1 MiB in base64 at worst: a SnapshotChunk always holds them. */
const MAX_CHARACTERS = 256 * 1024;
const HASH_BITS = 32;

export function packSnapshot(content: SnapshotContent, memory = new PackMemory()): PackedSnapshot {
  const chunks = new Map<string, string>();
  const index = (kind: ChunkedKind, entries: readonly Entry[]): string[][] => {
    const packed = packKind(entries, memory.kinds.get(kind), memory);
    memory.kinds.set(kind, packed);
    return [...packed.buckets.values()].map(({ pieces }) => {
      for (const { digest, text } of pieces) chunks.set(digest, text);
      return pieces.map(({ digest }) => digest);
    });
  };
  const text = formatIndex({
    transport: index("transport", [content.transport]),
    receiveConnectors: index("receiveConnectors", content.receiveConnectors),
    sendConnectors: index("sendConnectors", content.sendConnectors),
    acceptedDomains: index("acceptedDomains", content.acceptedDomains),
    rules: index("rules", content.rules),
  });
  const digest = sha256(text);
  chunks.set(digest, text);
  return { digest, chunks };
}

interface Packing {
  readonly memory: PackMemory;
  readonly before: PackedKind | undefined;
  /** Texts made to be measured: soon wanted again. */
  readonly texts: Map<Entry, string>;
}

function packKind(entries: readonly Entry[], before: PackedKind | undefined, memory: PackMemory): PackedKind {
  if (before !== undefined && sameItems(before.entries, entries)) return before;
  const buckets = new Map<string, Bucket>();
  const packing = { memory, before, texts: new Map<Entry, string>() };
  const divide = (some: readonly Entry[], path: string): void => {
    if (path.length >= HASH_BITS || some.length < 2 || !isLarge(some, packing)) {
      if (some.length > 0) buckets.set(path, bucketOf(some, path, packing));
      return;
    }
    const halves: [Entry[], Entry[]] = [[], []];
    for (const entry of some) halves[bitOf(factsOf(entry, packing).hash, path.length)].push(entry);
    divide(halves[0], `${path}0`);
    divide(halves[1], `${path}1`);
  };
  divide(entries, "");
  return { entries, buckets };
}

function isLarge(entries: readonly Entry[], packing: Packing): boolean {
  if (entries.length > MAX_ENTRIES) return true;
  let length = 0;
  for (const entry of entries) length += factsOf(entry, packing).length;
  return length > MAX_CHARACTERS;
}

function bitOf(hash: number, bit: number): 0 | 1 {
  return (hash >>> (HASH_BITS - 1 - bit)) & 1 ? 1 : 0;
}

function bucketOf(entries: readonly Entry[], path: string, { before, texts }: Packing): Bucket {
  const known = before?.buckets.get(path);
  if (known !== undefined && sameItems(known.entries, entries)) return known;
  const sorted = entries.toSorted(byName);
  const text = `[${sorted.map((entry) => texts.get(entry) ?? canonicalJson(entry)).join(",")}]`;
  return { entries, pieces: cut(text).map((piece) => ({ digest: sha256(piece), text: piece })) };
}

/** One entry alone may be long. No piece ends within a surrogate pair: each must be UTF-8 by itself. */
function cut(text: string): string[] {
  const pieces: string[] = [];
  for (let from = 0; from < text.length; ) {
    let to = from + MAX_CHARACTERS;
    if (to < text.length && /[\uDC00-\uDFFF]/.test(text.charAt(to))) to -= 1;
    pieces.push(text.slice(from, to));
    from = to;
  }
  return pieces;
}

function factsOf(entry: Entry, { memory, texts }: Packing): EntryFacts {
  const known = memory.facts.get(entry);
  if (known !== undefined) return known;
  const text = canonicalJson(entry);
  texts.set(entry, text);
  const facts = { hash: hashOf(entry.name), length: text.length };
  memory.facts.set(entry, facts);
  return facts;
}

/** FNV-1a with the last step of MurmurHash3, so that the high bits of names that differ in a digit differ too. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
