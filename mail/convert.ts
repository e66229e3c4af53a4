/**
 * Conversion for next hops that lack 8BITMIME or SMTPUTF8: 8-bit parts re-encoded (RFC 6152 §3), UTF-8 in
 * header text made encoded words. What signatures or addresses forbid is "impossible", with the reason:
 * the message then bounces with 5.6.3 or 5.6.7; no content is dropped or replaced to make it fit.
 *
 * @module
 */
import { isUtf8Address } from "./address.ts";
import { has8Bit, hasBinary } from "./body-octets.ts";
import { formatHeader, type HeaderField, makeField, removeFields, setField } from "./header.ts";
import { asciiHeader } from "./header-downgrade.ts";
import type { Envelope, Message } from "./message.ts";
import {
  allNodes,
  applySplices,
  type Content,
  type MimeNode,
  nodeBody,
  parseMimeTree,
  replaceHeader,
  replaceNode,
  type Splice,
} from "./mime-tree.ts";
import { decodeTransfer, encodeBase64, encodeQuotedPrintable } from "./transfer-encoding.ts";

export { has8Bit, hasBinary } from "./body-octets.ts";

export interface Impossible {
  readonly kind: "impossible";
  readonly reason: string;
}

export interface Addressed extends Pick<Message, "header"> {
  readonly envelope: Pick<Envelope, "sender" | "recipients" | "smtpUtf8">;
}

/** True when the message can be sent with SMTPUTF8 only, as it is (RFC 6531 §3.2, §3.4). */
export function needsSmtpUtf8({ envelope, header }: Addressed): boolean {
  if (hasUtf8Address(envelope)) return true;
  // Without SMTPUTF8 raw octets in a header are an old fault of clients, which no hop minds.
  return envelope.smtpUtf8 && header.some(({ raw }) => /[\x80-\xff]/.test(raw));
}

/** The header for a next hop without SMTPUTF8. Impossible (5.6.7): UTF-8 addresses. */
export function downgradeUtf8(
  header: readonly HeaderField[],
  envelope: Pick<Envelope, "sender" | "recipients">,
): { readonly kind: "converted"; readonly header: readonly HeaderField[] } | Impossible {
  if (hasUtf8Address(envelope)) return impossible("an address of the envelope is in UTF-8");
  const ascii = asciiHeader(header);
  if ("field" in ascii) return impossible(`the field "${ascii.field}" cannot be written in ASCII`);
  return { kind: "converted", header: ascii };
}

/** Header and body for a next hop without 8BITMIME or BINARYMIME. The header's own UTF-8 is downgradeUtf8's part. */
export function to7Bit(
  header: readonly HeaderField[],
  body: Uint8Array,
): (Content & { readonly kind: "converted" }) | Impossible {
  if (!has8Bit(body) && !hasBinary(body)) return { kind: "converted", header, body };
  const tree = parseMimeTree(header, body);
  if (tree === undefined) return impossible("the message is too complex");
  const changes = [...changesBelow(tree, body)];
  const failed = changes.find(({ change }) => typeof change === "string");
  if (failed !== undefined) return impossible(String(failed.change));
  const done = changes.flatMap(({ node, change }) => (typeof change === "object" ? [{ node, change }] : []));
  if (done.some(({ node }) => isSigned(node))) return impossible("the message is signed");
  const top = done.find(({ node }) => node.entity.parent === undefined)?.change;
  const converted = {
    header: top?.header ?? header,
    body: top?.body ?? applySplices(body, splicesOf(done, body)),
  };
  const ascii = withAsciiPreamble(converted);
  if (ascii === undefined) return impossible("the octets between the parts cannot be converted");
  return { kind: "converted", header: converted.header, body: ascii };
}

/** New header, and new octets for a leaf. */
interface Change {
  readonly header: readonly HeaderField[];
  readonly body: Uint8Array | undefined;
}

/** What happens to each node; a message/global with UTF-8 inside is encoded as a whole (RFC 6532 §3.7). */
function* changesBelow(
  node: MimeNode,
  body: Uint8Array,
): Generator<{ node: MimeNode; change: Change | string | undefined }> {
  const { contentType, header, parent } = node.entity;
  const octets = nodeBody(node, body);
  if (contentType === "message/global" && parent !== undefined && has8Bit(octets)) {
    const encoded = setField(header, makeField("Content-Transfer-Encoding", "base64"));
    yield { node, change: { header: encoded, body: encodeBase64(octets) } };
    return;
  }
  yield { node, change: convertNode(node, octets) };
  for (const child of node.children) yield* changesBelow(child, body);
}

/** What must change of one node: nothing (undefined), something, or why it can't (string). */
function convertNode(node: MimeNode, octets: Uint8Array): Change | string | undefined {
  const { entity } = node;
  const isTop = entity.parent === undefined;
  const raw = isTop ? false : has8Bit(Buffer.from(formatHeader(entity.header), "latin1"));
  const ascii = raw ? asciiHeader(entity.header) : entity.header;
  if ("field" in ascii) return `the field "${ascii.field}" of a part cannot be written in ASCII`;
  if (entity.kind !== "leaf") return containerChange(node, ascii, raw);
  if (!has8Bit(octets) && !hasBinary(octets)) return raw ? { header: ascii, body: octets } : undefined;
  return leafChange(node, ascii, octets);
}

/** RFC 2045 §6.4: a container is as wide as its parts, so 8bit and binary become 7bit. */
function containerChange(
  { entity }: MimeNode,
  header: readonly HeaderField[],
  raw: boolean,
): Change | undefined {
  const wide = /^(?:8bit|binary)$/.test(entity.fields.encoding);
  if (!wide && !raw) return undefined;
  return { header: wide ? removeFields(header, "Content-Transfer-Encoding") : header, body: undefined };
}

function leafChange(node: MimeNode, header: readonly HeaderField[], octets: Uint8Array): Change | string {
  const { fields, contentType } = node.entity;
  const encoded = fields.encoding === "base64" || fields.encoding === "quoted-printable";
  if (!encoded && !/^(?:7bit|8bit|binary)$/.test(fields.encoding))
    return "a part's transfer encoding is unknown";
  // RFC 2046 §5.2.1: these can't be encoded.
  if (/^(?:multipart\/|message\/(?:rfc822|partial|external-body)$)/.test(contentType)) {
    return "a part that cannot be encoded has 8-bit octets";
  }
  const content = encoded ? decodeTransfer(octets, fields.encoding) : octets;
  const encoding = contentType.startsWith("text/") && isMostlyAscii(content) ? "quoted-printable" : "base64";
  const field = makeField("Content-Transfer-Encoding", encoding);
  const body = encoding === "base64" ? encodeBase64(content) : encodeQuotedPrintable(content);
  const typed = setField(header, field);
  const version = makeField("MIME-Version", "1.0");
  const isTop = node.entity.parent === undefined;
  return { header: isTop ? setField(typed, version) : typed, body };
}

function splicesOf(done: readonly { node: MimeNode; change: Change }[], body: Uint8Array): Splice[] {
  return done.flatMap(({ node, change }) => {
    if (node.entity.parent === undefined) return [];
    if (change.body === undefined) return [replaceHeader(node, body, change.header)];
    return [replaceNode(node, body, { header: change.header, body: change.body })];
  });
}

/** Preamble and epilogue are no content (RFC 2046 §5.1.1): their 8-bit octets become "?". */
function withAsciiPreamble({ header, body }: Content): Uint8Array | undefined {
  if (hasBinary(body)) return undefined;
  if (!has8Bit(body)) return body;
  const ascii = Uint8Array.from(body, (octet) => (octet > 0x7f ? 0x3f : octet));
  const [before, after] = [parseMimeTree(header, body), parseMimeTree(header, ascii)];
  if (before === undefined || after === undefined) return undefined;
  // A boundary may hold such octets too, and must not change.
  return leafOctets(before, body) === leafOctets(after, ascii) ? ascii : undefined;
}

function leafOctets(tree: MimeNode, body: Uint8Array): string {
  const leaves = [...allNodes(tree)].filter(({ entity }) => entity.kind === "leaf");
  return leaves.map((leaf) => Buffer.from(nodeBody(leaf, body)).toString("latin1")).join("\0");
}

function isSigned(node: MimeNode): boolean {
  for (let entity = node.entity.parent; entity !== undefined; entity = entity.parent) {
    if (entity.contentType === "multipart/signed") return true;
  }
  return false;
}

function isMostlyAscii(octets: Uint8Array): boolean {
  let other = 0;
  for (const octet of octets) {
    if (octet > 0x7f || octet < 0x09) other++;
  }
  return other * 4 <= octets.length;
}

function hasUtf8Address({ sender, recipients }: Pick<Envelope, "sender" | "recipients">): boolean {
  if (sender !== null && isUtf8Address(sender)) return true;
  return recipients.some(({ address }) => isUtf8Address(address));
}

function impossible(reason: string): Impossible {
  return { kind: "impossible", reason };
}
