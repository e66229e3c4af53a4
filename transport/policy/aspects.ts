/**
 * Aspects: what of a copy's state rules can change, as bits: a fact that was worked out from other aspects still holds.
 *
 * The fields that many predicates read have bits of their own, others share some by hash. Two that share one cost a
 * fact worked out again, never a wrong one.
 *
 * @module
 */
import type { HeaderField } from "../../mail/header.ts";

export const STAMPS = 1;
export const RECIPIENTS = 2;
/** The header block as a whole; every changed field changes it. */
export const HEADER = 4;
/** Each bit stands for the fields of one name, or of those that together say what kind of message it is. */
const OWN_FIELDS: ReadonlyMap<string, number> = new Map(
  [
    ["from"],
    ["to"],
    ["cc"],
    ["subject"],
    ["content-type", "content-class", "auto-submitted", "precedence", "importance", "x-priority", "priority"],
  ].flatMap((names, index) => names.map((name) => [name, 1 << (3 + index)])),
);
const FIRST_SHARED = 8;
/** All bits, in use or not. */
export const ASPECTS = 31;
export const ALL_ASPECTS = 0x7fffffff;

/** The fields of that lower-case name. */
export function aspectOfField(name: string): number {
  const own = OWN_FIELDS.get(name);
  if (own !== undefined) return own;
  let hash = 0;
  for (let at = 0; at < name.length; at++) hash = (Math.imul(hash, 31) + name.charCodeAt(at)) | 0;
  return 1 << (FIRST_SHARED + ((hash >>> 0) % (ASPECTS - FIRST_SHARED)));
}

export interface FieldName {
  readonly lower: string;
  readonly aspect: number;
}

/** Names as senders wrote them: few differ, and no more are remembered. */
const MAX_KNOWN = 2000;
const MAX_KNOWN_LENGTH = 64;
const known = new Map<string, FieldName>();

/** Of a name as written. */
export function fieldName(name: string): FieldName {
  const remembered = known.get(name);
  if (remembered !== undefined) return remembered;
  if (known.size >= MAX_KNOWN || name.length > MAX_KNOWN_LENGTH) return readName(name);
  const own = ownCopy(name);
  const read = readName(own);
  known.set(own, read);
  return read;
}

function readName(name: string): FieldName {
  const lower = name.toLowerCase();
  return { lower, aspect: aspectOfField(lower) };
}

/** A name is cut out of a header block, which it would keep in memory. */
function ownCopy(name: string): string {
  return Buffer.from(name).toString();
}

/** Of all fields of a header block. */
export function aspectsOfHeader(header: readonly HeaderField[]): number {
  let aspects = 0;
  for (const { name } of header) aspects |= fieldName(name).aspect;
  return aspects;
}

/** How one header block became another: what both begin or end with is the same, field by field. */
export interface HeaderChange {
  readonly aspects: number;
  /** Fields of the later one between those. */
  readonly added: readonly HeaderField[];
}

const NO_CHANGE: HeaderChange = { aspects: 0, added: [] };

export function compareHeaders(before: readonly HeaderField[], after: readonly HeaderField[]): HeaderChange {
  if (before === after) return NO_CHANGE;
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start++;
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  const added = after.slice(start, after.length - end);
  return { aspects: aspectsOf(before.slice(start, before.length - end)) | aspectsOf(added), added };
}

function aspectsOf(fields: readonly HeaderField[]): number {
  return fields.length === 0 ? 0 : HEADER | aspectsOfHeader(fields);
}
