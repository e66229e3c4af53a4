/**
 * Chunks: a snapshot as content-addressed texts, so that one changed rule is one small text and equal content has one name.
 *
 * The entries of each kind lie in buckets (pack.ts says which in which); a bucket's text is a JSON array, in one chunk or,
 * when it is long, in several that must be joined. An index text names them all; its sha256 is the digest of the snapshot.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Compiled } from "../lib/diagnostics.ts";
import { canonicalJson } from "./canonical-json.ts";
import type { Snapshot } from "./schema.ts";

export interface PackedSnapshot {
  /** sha256 of the index text, hex: the digest of the snapshot. */
  readonly digest: string;
  /** Digest -> text, the index among them. */
  readonly chunks: ReadonlyMap<string, string>;
}

/** Everything of a snapshot but what packing gives it. */
export type SnapshotContent = Omit<Snapshot, "version" | "digest">;

export const CHUNKED_KINDS = [
  "transport",
  "receiveConnectors",
  "sendConnectors",
  "acceptedDomains",
  "rules",
] as const;
export type ChunkedKind = (typeof CHUNKED_KINDS)[number];

/** Kind -> buckets -> digests of the pieces of the bucket's text. */
export type ChunkIndex = Readonly<Record<ChunkedKind, readonly (readonly string[])[]>>;

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

export function formatIndex(index: ChunkIndex): string {
  return canonicalJson({ version: 1, ...index });
}

/** Digests of the chunks that an index names: what must be at hand to unpack it. */
export function indexDigests(indexText: string): Compiled<readonly string[]> {
  const index = parseIndex(indexText);
  if (!index.ok) return index;
  const named = CHUNKED_KINDS.flatMap((kind) => index.value[kind].flat());
  return { ok: true, value: [...new Set(named)], diagnostics: [] };
}

export function parseIndex(text: string): Compiled<ChunkIndex> {
  const content = parseJson(text);
  if (typeof content !== "object" || content === null || Array.isArray(content))
    return refuse("has no index: the text that should be one is cut off or something else");
  if ((content as { version?: unknown }).version !== 1)
    return refuse("was written by another version of Postroom");
  if (!isIndex(content)) return refuse("has an index that names no chunks");
  return { ok: true, value: content, diagnostics: [] };
}

export function refuse(message: string): { readonly ok: false } & Compiled<never> {
  const fault = { object: "Snapshot", path: "", reason: "Invalid", severity: "error" } as const;
  return { ok: false, diagnostics: [{ ...fault, message: `The snapshot ${message}` }] };
}

/** undefined: it is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isIndex(content: object): content is ChunkIndex {
  return CHUNKED_KINDS.every((kind) => {
    const buckets: unknown = (content as Partial<ChunkIndex>)[kind];
    return (
      Array.isArray(buckets) && buckets.every((pieces) => Array.isArray(pieces) && pieces.every(isDigest))
    );
  });
}

function isDigest(value: unknown): boolean {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}
