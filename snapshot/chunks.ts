/**
 * Chunks: a snapshot as content-addressed texts, so that one changed rule is one small text and equal content has one name.
 *
 * An index text names the other chunks; its sha256 is the digest of the snapshot. What is not here is in pack.ts.
 *
 * @module
 */

export interface PackedSnapshot {
  /** sha256 of the index text, hex: the digest of the snapshot. */
  readonly digest: string;
  /** Digest -> text, the index among them. */
  readonly chunks: ReadonlyMap<string, string>;
}
