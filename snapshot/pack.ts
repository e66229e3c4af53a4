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
  CHUNKED_KINDS,
  type ChunkedKind,
  formatIndex,
  type PackedSnapshot,
  type SnapshotContent,
  sha256,
} from "./chunks.ts";
import { byName } from "./precedence.ts";

interface Entry {
  readonly name: string;
}

interface Bucket {
  /** In the order in which they came. */
  readonly entries: readonly Entry[];
  readonly pieces: readonly { readonly digest: string; readonly text: string }[];
}

interface EntryFacts {
  readonly hash: number;
  /** Characters of its canonical JSON. */
  readonly length: number;
}

/** What one packing leaves to the next: a bucket of the very same entries is not written again. For one transport. */
export class PackMemory {
  readonly facts = new WeakMap<Entry, EntryFacts>();
  buckets: ReadonlyMap<string, Bucket> = new Map();
}

const MAX_ENTRIES = 128;
/** 256 Ki UTF-16 units are 1 MiB in base64 at worst: a SnapshotChunk always holds them. */
const MAX_CHARACTERS = 256 * 1024;
const HASH_BITS = 32;

export function packSnapshot(content: SnapshotContent, memory = new PackMemory()): PackedSnapshot {
  const packing: Packing = { memory, buckets: new Map(), texts: new Map(), chunks: new Map() };
  const index = Object.fromEntries(
    CHUNKED_KINDS.map((kind) => [kind, packKind(kind, entriesOf(content, kind), packing)]),
  ) as Record<ChunkedKind, string[][]>;
  memory.buckets = packing.buckets;
  const text = formatIndex(index);
  const digest = sha256(text);
  packing.chunks.set(digest, text);
  return { digest, chunks: packing.chunks };
}

interface Packing {
  readonly memory: PackMemory;
  /** Path of a bucket -> bucket. */
  readonly buckets: Map<string, Bucket>;
  /** Texts made to be measured: soon wanted again. */
  readonly texts: Map<Entry, string>;
  readonly chunks: Map<string, string>;
}

function entriesOf(content: SnapshotContent, kind: ChunkedKind): readonly Entry[] {
  return kind === "transport" ? [content.transport] : content[kind];
}

/** Digests of each bucket's pieces, buckets in the order of their paths. */
function packKind(kind: ChunkedKind, entries: readonly Entry[], packing: Packing): string[][] {
  if (entries.length === 0) return [];
  const digests: string[][] = [];
  const divide = (some: readonly Entry[], path: string, bit: number): void => {
    if (bit < HASH_BITS && some.length > 1 && isLarge(some, packing)) {
      const halves: [Entry[], Entry[]] = [[], []];
      for (const entry of some) halves[bitOf(factsOf(entry, packing).hash, bit)].push(entry);
      for (const [at, half] of halves.entries()) if (half.length > 0) divide(half, `${path}${at}`, bit + 1);
      return;
    }
    const bucket = bucketOf(some, path, packing);
    packing.buckets.set(path, bucket);
    for (const { digest, text } of bucket.pieces) packing.chunks.set(digest, text);
    digests.push(bucket.pieces.map(({ digest }) => digest));
  };
  divide(entries, `${kind}/`, 0);
  return digests;
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

function bucketOf(entries: readonly Entry[], path: string, { memory, texts }: Packing): Bucket {
  const known = memory.buckets.get(path);
  if (known !== undefined && sameEntries(known.entries, entries)) return known;
  const sorted = entries.toSorted(byName);
  const text = `[${sorted.map((entry) => texts.get(entry) ?? canonicalJson(entry)).join(",")}]`;
  return { entries, pieces: cut(text).map((piece) => ({ digest: sha256(piece), text: piece })) };
}

function sameEntries(a: readonly Entry[], b: readonly Entry[]): boolean {
  return a.length === b.length && a.every((entry, at) => entry === b[at]);
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
