/**
 * Aspects: what of a copy's state rules can change, as bits: a fact that was worked out from other aspects still holds.
 *
 * Names of header fields share some bits by hash. Two that share one cost a fact worked out again, never a wrong one.
 *
 * @module
 */
import type { HeaderField } from "../../mail/header.ts";

export const STAMPS = 1;
export const RECIPIENTS = 2;
/** The header block as a whole; every changed field changes it. */
export const HEADER = 4;
const FIRST_FIELD = 3;
/** All bits, in use or not. */
export const ASPECTS = 31;
export const ALL_ASPECTS = 0x7fffffff;

/** The fields of that lower-case name. */
export function aspectOfField(name: string): number {
  let hash = 0;
  for (let at = 0; at < name.length; at++) hash = (Math.imul(hash, 31) + name.charCodeAt(at)) | 0;
  return 1 << (FIRST_FIELD + ((hash >>> 0) % (ASPECTS - FIRST_FIELD)));
}

/** Aspects in which two header blocks differ. What both begin or end with is the same, field by field. */
export function changedFields(before: readonly HeaderField[], after: readonly HeaderField[]): number {
  if (before === after) return 0;
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start++;
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return aspectsOf(before, start, before.length - end) | aspectsOf(after, start, after.length - end);
}

function aspectsOf(header: readonly HeaderField[], from: number, to: number): number {
  let aspects = 0;
  for (let at = from; at < to; at++) {
    aspects |= HEADER | aspectOfField((header[at]?.name ?? "").toLowerCase());
  }
  return aspects;
}
