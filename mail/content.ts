/**
 * Content edits that transport rules and agents ask for: disclaimers, wrapping, attachments taken out, subjects.
 *
 * In: header and body of a message that is in memory. Out: new ones; octets that need not change stay.
 *
 * @module
 */

import { has8Bit, hasBinary } from "./body-octets.ts";
import { freeBoundary } from "./boundary.ts";
import { formatHeader, type HeaderField, makeField } from "./header.ts";
import {
  allNodes,
  applySplices,
  type Content,
  type MimeNode,
  parseMimeTree,
  replaceNode,
} from "./mime-tree.ts";
import { encodeQuotedPrintable } from "./transfer-encoding.ts";

export { applyDisclaimer, type Disclaimer, type DisclaimerResult } from "./disclaimer.ts";
export type { Content } from "./mime-tree.ts";
export { addAddressTo, prependSubject } from "./subject.ts";

/** A new message with the text in front and the original attached, untouched (disclaimer fallback "Wrap"). */
export function wrapMessage(
  header: readonly HeaderField[],
  body: Uint8Array,
  { text, html }: { readonly text: string; readonly html: string },
): Content {
  const original = Buffer.concat([latin1(`${formatHeader(header)}\r\n`), body]);
  const encoding = encodingOf(original);
  // RFC 6532 §3.7: a header in UTF-8 makes it message/global.
  const type = has8Bit(latin1(formatHeader(header))) ? "message/global" : "message/rfc822";
  const attached = Buffer.concat([
    latin1(`Content-Type: ${type}\r\n${encodingLine(encoding)}\r\n`),
    original,
  ]);
  const front = multipart("alternative", "wrap-text", [
    ...(text === "" && html !== "" ? [] : [textEntity("plain", text)]),
    ...(html === "" ? [] : [textEntity("html", html)]),
  ]);
  const outer = multipart("mixed", "wrap", [
    Buffer.concat([latin1(`${front.contentType}\r\n\r\n`), front.body]),
    attached,
  ]);
  return {
    header: [
      ...header.filter(({ name }) => !isOfOriginalOnly(name)),
      makeField("MIME-Version", "1.0"),
      makeField("Content-Type", outer.contentType.slice("Content-Type: ".length)),
      ...(encoding === "7bit" ? [] : [makeField("Content-Transfer-Encoding", encoding)]),
    ],
    body: outer.body,
  };
}

/**
 * Puts a text part in the place of each part named by its MimePart.path. A path inside an encoded message takes that
 * message out as a whole; where the structure can't be edited, the note takes the place of the whole body.
 */
export function stripAttachments(
  header: readonly HeaderField[],
  body: Uint8Array,
  paths: readonly string[],
  note: string,
): Content {
  if (paths.length === 0) return { header, body };
  const tree = parseMimeTree(header, body);
  const nodes = tree === undefined ? undefined : outermostNodes(tree, paths);
  const isTop = nodes?.some(({ entity }) => entity.parent === undefined) ?? true;
  const entity = textEntityParts(note);
  if (nodes === undefined || isTop) {
    const kept = header.filter(({ name }) => !/^(?:content-|mime-version$)/i.test(name));
    return { header: [...kept, makeField("MIME-Version", "1.0"), ...entity.header], body: entity.body };
  }
  return {
    header,
    body: applySplices(
      body,
      nodes.map((node) => replaceNode(node, body, entity)),
    ),
  };
}

/** Nodes for the paths; of two where one holds the other, only the outer. undefined: a path leads nowhere. */
function outermostNodes(tree: MimeNode, paths: readonly string[]): MimeNode[] | undefined {
  const byPath = new Map<string, MimeNode>();
  for (const node of allNodes(tree)) {
    if (!byPath.has(node.entity.path)) byPath.set(node.entity.path, node);
  }
  const found = paths.map((path) => nearest(byPath, path));
  const nodes = [...new Set(found.filter((node) => node !== undefined))];
  if (found.includes(undefined)) return undefined;
  return nodes.filter((node) => !nodes.some((other) => other !== node && contains(other, node)));
}

/** The node of a path, or of the longest path above it. */
function nearest(byPath: ReadonlyMap<string, MimeNode>, path: string): MimeNode | undefined {
  for (let at = path; at !== ""; at = at.slice(0, Math.max(0, at.lastIndexOf(".")))) {
    const node = byPath.get(at);
    if (node !== undefined) return node;
  }
  return undefined;
}

function contains(outer: MimeNode, inner: MimeNode): boolean {
  for (let entity = inner.entity.parent; entity !== undefined; entity = entity.parent) {
    if (entity === outer.entity) return true;
  }
  return false;
}

// DKIM signs what the wrapper no longer has; the attached original keeps it.
function isOfOriginalOnly(name: string): boolean {
  return /^(?:content-|mime-version$|dkim-signature$)/i.test(name);
}

function encodingOf(octets: Uint8Array): "7bit" | "8bit" | "binary" {
  if (hasBinary(octets)) return "binary";
  return has8Bit(octets) ? "8bit" : "7bit";
}

function encodingLine(encoding: string): string {
  return encoding === "7bit" ? "" : `Content-Transfer-Encoding: ${encoding}\r\n`;
}

function multipart(
  subtype: string,
  name: string,
  parts: readonly Uint8Array[],
): { contentType: string; body: Buffer } {
  const boundary = freeBoundary(name, parts);
  const body = Buffer.concat([
    ...parts.flatMap((part) => [latin1(`--${boundary}\r\n`), part, latin1("\r\n")]),
    latin1(`--${boundary}--\r\n`),
  ]);
  return { contentType: `Content-Type: multipart/${subtype}; boundary="${boundary}"`, body };
}

function textEntity(subtype: "plain" | "html", text: string): Buffer {
  const { header, body } = textEntityParts(text, subtype);
  return Buffer.concat([latin1(`${formatHeader(header)}\r\n`), body]);
}

function textEntityParts(text: string, subtype: "plain" | "html" = "plain"): Content {
  const octets = Buffer.from(`${text.replace(/\r\n|\r|\n/g, "\r\n")}\r\n`);
  // A line of ours must not be taken for a delimiter of theirs: quoted-printable never begins a line so.
  const plain = !has8Bit(octets) && !hasBinary(octets) && !/^--/m.test(text);
  const type = makeField("Content-Type", `text/${subtype}; charset=${plain ? "us-ascii" : "utf-8"}`);
  if (plain) return { header: [type], body: octets };
  const encoding = makeField("Content-Transfer-Encoding", "quoted-printable");
  return { header: [type, encoding], body: encodeQuotedPrintable(octets) };
}

function latin1(octets: string): Buffer {
  return Buffer.from(octets, "latin1");
}
