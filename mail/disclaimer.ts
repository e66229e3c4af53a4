/**
 * Disclaimer (ApplyHtmlDisclaimer): text added to the parts that a reader sees, in their own form.
 *
 * Each part keeps its charset and transfer encoding where the text fits them; what is signed or encrypted, and
 * what has no text, is unchangeable: the caller wraps, ignores or rejects. All other octets stay as they are.
 *
 * @module
 */
import { has8Bit, hasBinary } from "./body-octets.ts";
import { decodeCharset, encodeCharset, keepsAscii } from "./charset.ts";
import type { HeaderField } from "./header.ts";
import { headerValues, makeField, setField } from "./header.ts";
import { HtmlText } from "./html-text.ts";
import {
  applySplices,
  type Content,
  type MimeNode,
  nodeBody,
  parseMimeTree,
  replaceNode,
} from "./mime-tree.ts";
import { decodeTransfer, encodeBase64, encodeQuotedPrintable } from "./transfer-encoding.ts";

export interface Disclaimer {
  /** For text/plain parts; "" derives it from `html`. */
  readonly text: string;
  /** For text/html parts; "" derives it from `text`. */
  readonly html: string;
  readonly location: "Append" | "Prepend";
}

export type DisclaimerResult =
  | (Content & { readonly kind: "changed" | "unchanged" })
  | { readonly kind: "unchangeable"; readonly reason: string };

/** "unchanged": every text part holds the disclaimer already. */
export function applyDisclaimer(
  header: readonly HeaderField[],
  body: Uint8Array,
  edit: Disclaimer,
): DisclaimerResult {
  const tree = parseMimeTree(header, body);
  if (tree === undefined) return { kind: "unchangeable", reason: "the message is too complex" };
  const found = textNodes(tree);
  if ("reason" in found) return { kind: "unchangeable", reason: found.reason };
  const complete = completedOnce(edit);
  const edited = found.nodes.map((node) => ({ node, part: editPart(node, nodeBody(node, body), complete) }));
  if (edited.some(({ part }) => part === "unknown encoding")) {
    return { kind: "unchangeable", reason: "the transfer encoding is unknown" };
  }
  const changed = edited.flatMap(({ node, part }) => (typeof part === "object" ? [{ node, part }] : []));
  if (changed.length === 0) return { kind: "unchanged", header, body };
  const top = changed.find(({ node }) => node.entity.parent === undefined);
  if (top !== undefined)
    return { kind: "changed", header: withMimeVersion(top.part.header), body: top.part.body };
  const splices = changed.map(({ node, part }) => replaceNode(node, body, part));
  return { kind: "changed", header, body: applySplices(body, splices) };
}

type Found = { readonly nodes: readonly MimeNode[] } | { readonly reason: string };

const SEALED = /^(?:multipart\/(?:signed|encrypted)|application\/(?:x-)?pkcs7-mime)$/;

const NO_TEXT = { reason: "the message has no text part" };
const SEALED_TEXT = { reason: "the message is signed or encrypted" };

/** The parts shown as the message's text: every form of an alternative, otherwise the first. */
function textNodes(node: MimeNode): Found {
  const { contentType, kind } = node.entity;
  if (SEALED.test(contentType)) return SEALED_TEXT;
  if (kind === "leaf") return isShownText(node) ? { nodes: [node] } : NO_TEXT;
  if (kind === "message") return NO_TEXT;
  const found = node.children.map(textNodes);
  if (contentType !== "multipart/alternative") return found.find((one) => one !== NO_TEXT) ?? NO_TEXT;
  const nodes = found.flatMap((one) => ("nodes" in one ? one.nodes : []));
  return nodes.length > 0 ? { nodes } : (found[0] ?? NO_TEXT);
}

function isShownText({ entity: { contentType, fields } }: MimeNode): boolean {
  if (fields.disposition === "attachment" || fields.fileNames.length > 0) return false;
  return contentType === "text/plain" || contentType === "text/html";
}

/** A disclaimer as it is put in. */
interface Completed extends Disclaimer {
  /** By which it is known again, in a plain part and in one of HTML. */
  readonly inPlain: OwnWords;
  readonly inHtml: OwnWords;
}

interface OwnWords {
  readonly all: string;
  readonly longest: string;
}

/** A rule's disclaimer is the same object for every message. */
const completions = new WeakMap<Disclaimer, Completed>();

function completedOnce(edit: Disclaimer): Completed {
  const known = completions.get(edit);
  if (known !== undefined) return known;
  const complete = completed(edit);
  completions.set(edit, complete);
  return complete;
}

/** Both forms of the text, with CRLF. */
function completed({ text, html, location }: Disclaimer): Completed {
  const plain = text !== "" ? text : htmlToText(html).trim();
  const markup = html !== "" ? html : escapeHtml(text).replace(/\r?\n/g, "<br>\r\n");
  const lines = (value: string) => value.replace(/\r\n|\r|\n/g, "\r\n");
  const own = { text: trimLines(lines(plain)), html: lines(markup).trim(), location };
  return { ...own, inPlain: ownWords(own.text), inHtml: ownWords(htmlToText(own.html)) };
}

// In flowed text a space at the end of a line would join it to the next (RFC 3676 §4.1).
function trimLines(text: string): string {
  return text
    .split("\r\n")
    .map((line) => line.trimEnd())
    .join("\r\n");
}

function editPart(
  node: MimeNode,
  raw: Uint8Array,
  edit: Completed,
): Content | "present" | "unknown encoding" {
  const { fields, header, contentType } = node.entity;
  if (!/^(?:7bit|8bit|binary|base64|quoted-printable)$/.test(fields.encoding)) return "unknown encoding";
  const isPlain = fields.encoding !== "base64" && fields.encoding !== "quoted-printable";
  const octets = isPlain ? raw : decodeTransfer(raw, fields.encoding);
  const content = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  const isHtml = contentType === "text/html";
  const mayBeThere = isHtml || mayHold(content, fields.charset, edit.inPlain);
  if (mayBeThere && isPresent(decodeCharset(content, fields.charset), isHtml, edit)) return "present";
  const added = isHtml ? edit.html : flowed(edit.text, fields.format);
  const insert = isHtml ? insertHtml : insertText;
  const fitted =
    encodeCharset(added, fields.charset) ?? (isHtml ? asciiHtml(added, fields.charset) : undefined);
  // A line of ours must not be taken for a delimiter of theirs: quoted-printable never begins a line so.
  const encoding = /^--/m.test(added) && fields.encoding !== "base64" ? "quoted-printable" : fields.encoding;
  if (fitted !== undefined) {
    return encodePart(header, encoding, insert(content, Buffer.from(fitted), edit.location));
  }
  const text = Buffer.from(decodeCharset(content, fields.charset));
  const upgraded = insert(text, Buffer.from(added), edit.location);
  return encodePart(withCharset(header, contentType), encoding, upgraded);
}

/** Keeps the transfer encoding while it can hold the octets, else quoted-printable. */
function encodePart(header: readonly HeaderField[], encoding: string, octets: Buffer): Content {
  if (encoding === "base64") return { header, body: encodeBase64(octets) };
  const is8Bit = has8Bit(octets) && encoding === "7bit";
  const plain = encoding !== "quoted-printable" && !is8Bit && (encoding === "binary" || !hasBinary(octets));
  if (plain) return { header, body: octets };
  return {
    header: setField(header, makeField("Content-Transfer-Encoding", "quoted-printable")),
    body: encodeQuotedPrintable(octets),
  };
}

function insertText(content: Buffer, added: Buffer, location: Disclaimer["location"]): Buffer {
  const crlf = Buffer.from("\r\n");
  if (location === "Prepend") return Buffer.concat([added, crlf, crlf, content]);
  const ended = content.length === 0 || content.subarray(-2).equals(crlf);
  return Buffer.concat([content, ...(ended ? [] : [crlf]), crlf, added, crlf]);
}

/** Inside <body>, where there is one. No line break is added: what follows must not become a line of its own. */
function insertHtml(content: Buffer, added: Buffer, location: Disclaimer["location"]): Buffer {
  const text = content.toString("latin1").toLowerCase();
  const at = location === "Append" ? endOfBody(text) : startOfBody(text);
  return Buffer.concat([content.subarray(0, at), added, content.subarray(at)]);
}

function endOfBody(text: string): number {
  const body = text.lastIndexOf("</body");
  if (body >= 0) return body;
  const html = text.lastIndexOf("</html");
  return html >= 0 ? html : text.length;
}

function startOfBody(text: string): number {
  for (const tag of [/<body\b[^>]*>/, /<\/head\s*>/, /<html\b[^>]*>/]) {
    const match = tag.exec(text);
    if (match !== null) return match.index + match[0].length;
  }
  return 0;
}

/** RFC 3676 §4.4: in flowed text a line that begins with a space, ">" or "From " is stuffed with a space. */
function flowed(text: string, format: string | undefined): string {
  return format === "flowed" ? text.replace(/^(?=[ >]|From )/gm, " ") : text;
}

/** Characters that the charset lacks become numeric references, so the part keeps its charset. */
function asciiHtml(html: string, charset: string | undefined): Uint8Array | undefined {
  const ascii = html.replace(/[^\x00-\x7f]/gu, (character) => `&#${character.codePointAt(0)};`);
  return encodeCharset(ascii, charset);
}

/** False: the text of these octets lacks the longest of the words, and it need not be decoded. */
function mayHold(octets: Buffer, charset: string | undefined, { longest }: OwnWords): boolean {
  return has8Bit(Buffer.from(longest)) || !keepsAscii(charset) || octets.includes(longest, 0, "latin1");
}

function isPresent(content: string, isHtml: boolean, edit: Completed): boolean {
  const { all, longest } = isHtml ? edit.inHtml : edit.inPlain;
  if (all === "") return false;
  const text = isHtml ? htmlToText(content) : content;
  // words() changes what is between words only, so that each of them must stand in the text.
  return text.includes(longest) && words(text).includes(all);
}

function ownWords(text: string): OwnWords {
  const all = words(text);
  const longest = all.split(" ").reduce((best, word) => (word.length > best.length ? word : best), "");
  return { all, longest };
}

/** Words only: quoting marks and line breaks differ when a message comes back. */
function words(text: string): string {
  return text
    .replace(/^[> \t]+/gm, "")
    .replace(/\s+/g, " ")
    .trim();
}

function htmlToText(html: string): string {
  const reader = new HtmlText();
  return reader.write(html) + reader.end();
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Content-Type with charset=utf-8, its other parameters kept. */
function withCharset(header: readonly HeaderField[], contentType: string): HeaderField[] {
  const value = headerValues(header, "content-type").find((one) => one.toLowerCase().startsWith(contentType));
  const kept = (value ?? contentType).replace(
    /;[ \t]*charset\*?(?:0\*?)?[ \t]*=[ \t]*(?:"[^"]*"|[^;]*)/gi,
    "",
  );
  return setField(header, makeField("Content-Type", `${kept}; charset=utf-8`));
}

function withMimeVersion(header: readonly HeaderField[]): readonly HeaderField[] {
  if (headerValues(header, "mime-version").length > 0) return header;
  return [...header, makeField("MIME-Version", "1.0")];
}
