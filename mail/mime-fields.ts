/**
 * Content fields of one entity: Content-Type, Content-Disposition, Content-Transfer-Encoding (RFC 2045, 2183, 2231).
 *
 * Lenient, as mail clients are, and where clients differ it tells all readings: every boundary and every file
 * name that some client would take. What hides an attachment from us must hide it from the reader too.
 *
 * @module
 */
import { decodeCharset, decodeOctets } from "./charset.ts";
import { decodeHeaderText } from "./encoded-word.ts";
import { type HeaderField, headerValues } from "./header.ts";

export interface Parameter {
  /** In lower case, without the marks of RFC 2231. */
  readonly name: string;
  readonly value: string;
}

export interface ContentFields {
  /** type/subtype in lower case; undefined when none is declared or it is none. */
  readonly type: string | undefined;
  /** Boundaries of multiparts as octets; usually one. */
  readonly boundaries: readonly string[];
  readonly charset: string | undefined;
  readonly format: string | undefined;
  /** "7bit", "base64", "x-foo" ... in lower case. */
  readonly encoding: string;
  readonly disposition: string | undefined;
  /** Every file name given, the one that most clients show first. */
  readonly fileNames: readonly string[];
}

/** RFC 2046 §5.1.1 allows 70 characters; longer ones are met, endless ones are not remembered. */
const MAX_BOUNDARY = 500;
const MAX_BOUNDARIES = 4;
const MAX_PARAMETERS = 200;

export function contentFields(fields: readonly HeaderField[]): ContentFields {
  const header = fields.filter(isContentField);
  if (header.length === 0) return NO_FIELDS;
  const types = headerValues(header, "content-type").map((value) => parseParameters(value));
  const dispositions = headerValues(header, "content-disposition").map((value) => parseParameters(value));
  // Several Content-Type fields: the one that holds more parts is the one to fear.
  const chosen = types.find(({ value }) => value.startsWith("multipart/")) ?? types[0];
  const named = [...dispositions.map((one) => all(one, "filename")), ...types.map((one) => all(one, "name"))];
  const boundaries = types.flatMap((one) => (one.value.startsWith("multipart/") ? all(one, "boundary") : []));
  return {
    type: chosen !== undefined && /^[^/\s]+\/[^/\s]+$/.test(chosen.value) ? chosen.value : undefined,
    boundaries: [...new Set(boundaries.map(trimRight).filter(isBoundary))].slice(0, MAX_BOUNDARIES),
    charset: chosen && all(chosen, "charset")[0]?.toLowerCase(),
    format: chosen && all(chosen, "format")[0]?.toLowerCase(),
    encoding: firstToken(headerValues(header, "content-transfer-encoding")[0] ?? "7bit"),
    disposition: dispositions[0]?.value,
    fileNames: [...new Set(named.flat().filter((name) => name.length > 0))],
  };
}

const NO_FIELDS: ContentFields = {
  type: undefined,
  boundaries: [],
  charset: undefined,
  format: undefined,
  encoding: "7bit",
  disposition: undefined,
  fileNames: [],
};

function isContentField({ name }: HeaderField): boolean {
  return name.length > "content-".length && /^content-/i.test(name);
}

/** The first token of a structured value and its parameters; extended forms (RFC 2231 §3, §4) before plain ones. */
export function parseParameters(value: string): { value: string; parameters: readonly Parameter[] } {
  const [first = "", ...pieces] = splitAtSemicolons(value);
  const plain: Parameter[] = [];
  const continued = new Map<string, Segment[]>();
  for (const piece of pieces.slice(0, MAX_PARAMETERS)) {
    const equals = piece.indexOf("=");
    if (equals < 0) continue;
    const name = firstToken(piece.slice(0, equals));
    const text = unquote(piece.slice(equals + 1));
    const extended = /^([^*]+)\*(?:(\d{1,4})(\*?))?$/.exec(name);
    if (extended === null) {
      plain.push({ name, value: isRaw(name) ? text : decodeHeaderText(text) });
      continue;
    }
    const [, base = "", index, star] = extended;
    const segments = continued.get(base) ?? [];
    segments.push({ index: Number(index ?? -1), encoded: index === undefined || star === "*", text });
    continued.set(base, segments);
  }
  const extended = [...continued].flatMap(([name, segments]) => joinSegments(name, segments));
  return { value: firstToken(first), parameters: [...extended, ...plain] };
}

interface Segment {
  /** -1: the whole value in one (name*). */
  readonly index: number;
  readonly encoded: boolean;
  readonly text: string;
}

function all({ parameters }: { parameters: readonly Parameter[] }, name: string): string[] {
  return parameters.filter((one) => one.name === name).map((one) => one.value);
}

// A boundary is compared octet for octet, so it is not decoded.
function isRaw(name: string): boolean {
  return name === "boundary";
}

/** RFC 2231: name* alone is one reading, name*0, name*1 ... joined in order another. */
function joinSegments(name: string, segments: readonly Segment[]): Parameter[] {
  const whole = segments
    .filter((segment) => segment.index < 0)
    .map((segment) => decodeExtended(name, [segment]));
  const parts = segments.filter((segment) => segment.index >= 0).sort((a, b) => a.index - b.index);
  const joined = parts.length === 0 ? [] : [decodeExtended(name, parts)];
  return [...whole, ...joined].map((value) => ({ name, value }));
}

function decodeExtended(name: string, segments: readonly Segment[]): string {
  let charset: string | undefined;
  let octets = "";
  segments.forEach(({ encoded, text }, position) => {
    const prefix = encoded && position === 0 ? /^([^']*)'[^']*'/.exec(text) : null;
    if (prefix !== null) charset = prefix[1];
    const rest = text.slice(prefix?.[0].length ?? 0);
    octets += encoded ? rest.replace(/%([0-9A-Fa-f]{2})/g, fromHex) : rest;
  });
  if (isRaw(name)) return octets;
  return charset ? decodeCharset(Buffer.from(octets, "latin1"), charset) : decodeOctets(octets);
}

function fromHex(_: string, hex: string): string {
  return String.fromCharCode(Number.parseInt(hex, 16));
}

/** Splits at ";" outside of quoted strings and comments. */
function splitAtSemicolons(value: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  for (const token of value.matchAll(TOKEN)) {
    if (token[0] !== ";") continue;
    pieces.push(value.slice(start, token.index));
    start = token.index + 1;
    if (pieces.length > MAX_PARAMETERS) break;
  }
  pieces.push(value.slice(start));
  return pieces;
}

// A quoted string (unfinished: to the end), a comment, or one other character. Comments that nest or do not end
// hide nothing: a parameter inside is a reading that some client may have.
const TOKEN = /"(?:[^"\\]|\\.)*"?|\([^()";]*\)|[^;"(]+|./gs;

/** First token in lower case, comments and quotes left out: `(c) Base64 ;` is base64. */
function firstToken(text: string): string {
  const bare = text.replace(/\([^()]*\)/g, " ").replace(/^[ \t\r\n"]+/, "");
  return (/^[^ \t\r\n"]*/.exec(bare)?.[0] ?? "").toLowerCase();
}

/** A quoted string's content, or the text up to a comment. Unquoted values keep inner spaces, as clients do. */
function unquote(text: string): string {
  const start = text.search(/[^ \t\r\n]/);
  if (start < 0) return "";
  if (text[start] !== '"') return trimRight(text.slice(start).replace(/[ \t]\([^()]*\)[ \t]*$/, ""));
  let content = "";
  for (let at = start + 1; at < text.length && text[at] !== '"'; at++) {
    // Windows paths come unescaped: a backslash counts only before the two characters it is for.
    if (text[at] === "\\" && (text[at + 1] === '"' || text[at + 1] === "\\")) at++;
    content += text[at];
  }
  return content;
}

function trimRight(text: string): string {
  let end = text.length;
  while (end > 0 && " \t\r\n".includes(text[end - 1] as string)) end--;
  return text.slice(0, end);
}

function isBoundary(boundary: string): boolean {
  return boundary.length > 0 && boundary.length <= MAX_BOUNDARY;
}
