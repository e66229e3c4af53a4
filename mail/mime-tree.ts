/**
 * MIME tree of a message in memory, for editing: where each part stands, and splices that change only that.
 *
 * Stands on the reader that scanning uses, so that paths mean the same. Octets outside a splice stay as they are.
 *
 * @module
 */
import { formatHeader, type HeaderField } from "./header.ts";
import { type Entity, StructureReader } from "./mime-structure.ts";

export interface MimeNode {
  readonly entity: Entity;
  readonly children: readonly MimeNode[];
  /** The node's body is body[entity.bodyStart, bodyEnd). */
  readonly bodyEnd: number;
}

/** Octets start..end of the body become `octets`. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly octets: Uint8Array;
}

export interface Content {
  readonly header: readonly HeaderField[];
  readonly body: Uint8Array;
}

/** More than any scan allows: what was scanned can be edited. */
const LIMITS = { maxParts: 100_000, maxDepth: 100 };

/** The tree, or undefined for a message that is too complex to edit. */
export function parseMimeTree(header: readonly HeaderField[], body: Uint8Array): MimeNode | undefined {
  interface Draft {
    readonly entity: Entity;
    readonly children: Draft[];
    bodyEnd: number;
  }
  const drafts = new Map<Entity, Draft>();
  let root: Draft | undefined;
  const reader = new StructureReader(header, LIMITS, {
    open(entity) {
      const draft = { entity, children: [], bodyEnd: 0 };
      drafts.set(entity, draft);
      root ??= draft;
      if (entity.parent !== undefined) drafts.get(entity.parent)?.children.push(draft);
    },
    close(entity, bodyEnd) {
      const draft = drafts.get(entity);
      if (draft !== undefined) draft.bodyEnd = bodyEnd;
    },
  });
  reader.write(body);
  reader.end();
  return reader.tooComplex ? undefined : root;
}

export function nodeBody({ entity, bodyEnd }: MimeNode, body: Uint8Array): Uint8Array {
  return body.subarray(entity.bodyStart, bodyEnd);
}

/** All nodes, parents first. */
export function* allNodes(node: MimeNode): Generator<MimeNode> {
  yield node;
  for (const child of node.children) yield* allNodes(child);
}

/** The splice that gives a node inside the body a new header and new octets. */
export function replaceNode(node: MimeNode, body: Uint8Array, { header, body: octets }: Content): Splice {
  // A delimiter right after a header has no line break of its own: now it needs one.
  const next = body[node.bodyEnd];
  const lineBreak = next === undefined || next === 0x0d || next === 0x0a ? "" : "\r\n";
  return {
    start: node.entity.headerStart,
    end: node.bodyEnd,
    octets: Buffer.concat([headerBlock(node, body, header), octets, Buffer.from(lineBreak)]),
  };
}

/** The splice that gives a node inside the body a new header only. */
export function replaceHeader(node: MimeNode, body: Uint8Array, header: readonly HeaderField[]): Splice {
  const { headerStart, bodyStart } = node.entity;
  return { start: headerStart, end: bodyStart, octets: headerBlock(node, body, header) };
}

function headerBlock({ entity }: MimeNode, body: Uint8Array, header: readonly HeaderField[]): Buffer {
  // The last line of the body may be a delimiter without line break.
  const start = entity.headerStart === 0 || body[entity.headerStart - 1] === 0x0a ? "" : "\r\n";
  return Buffer.from(`${start}${formatHeader(header)}\r\n`, "latin1");
}

/** The body with all splices applied; they may come in any order and must not overlap. */
export function applySplices(body: Uint8Array, splices: readonly Splice[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const { start, end, octets } of [...splices].sort((a, b) => a.start - b.start || a.end - b.end)) {
    pieces.push(body.subarray(at, start), octets);
    at = end;
  }
  return Buffer.concat([...pieces, body.subarray(at)]);
}
