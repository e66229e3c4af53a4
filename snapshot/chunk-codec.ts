/** A chunk's text as a SnapshotChunk carries it, zstd in base64, and back with its digest checked. Pure. */
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { SnapshotChunkSpec } from "../crds/delivery-kinds.ts";
import type { Compiled } from "../lib/diagnostics.ts";
import { refuse, sha256 } from "./chunks.ts";

/** A chunk that unpacks to more was not made by packSnapshot(). */
const MAX_OCTETS = 64 * 1024 * 1024;
const OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 3 } };

export function encodeChunk(text: string): SnapshotChunkSpec {
  const data = zstdCompressSync(Buffer.from(text), OPTIONS).toString("base64");
  return { digest: sha256(text), encoding: "zstd", data };
}

export function decodeChunk({ digest, data }: SnapshotChunkSpec): Compiled<string> {
  const short = digest.slice(0, 12);
  let octets: Buffer;
  try {
    octets = zstdDecompressSync(Buffer.from(data, "base64"), { maxOutputLength: MAX_OCTETS });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return refuse(`has a chunk ${short} that cannot be decompressed: ${why}`);
  }
  const text = octets.toString();
  if (sha256(text) !== digest) return refuse(`was changed: the digest of chunk ${short} differs`);
  return { ok: true, value: text, diagnostics: [] };
}
