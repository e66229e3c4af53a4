/**
 * Header block (RFC 5322 §2.2): parse, find, add, remove, fold; octets untouched.
 *
 * `raw` holds the field as octets in a latin1 string: name, colon, folded value, final CRLF.
 * A line that is no field (no colon) is kept as a field with name "" so that nothing is lost.
 *
 * @module
 */

export interface HeaderField {
  /** As written, e.g. "Subject". Compare case-insensitively. */
  readonly name: string;
  /** The whole field as latin1 octets, ending in CRLF. */
  readonly raw: string;
}

// RFC 5322 §2.1.1: lines should hold 78 characters and must not hold more than 998.
const FOLD_AT = 78;
const MAX_LINE = 998;

const FIELD_NAME = /^([\x21-\x39\x3b-\x7e]+)[ \t]*:/;

/** Splits a header block, without the blank line that ends it, into fields. Lines end in CRLF. */
export function parseHeader(block: string): HeaderField[] {
  const fields: HeaderField[] = [];
  for (let start = 0; start < block.length; ) {
    const end = endOfField(block, start);
    const text = block.slice(start, end);
    const raw = text.endsWith("\r\n") ? text : `${text}\r\n`;
    fields.push({ name: FIELD_NAME.exec(raw)?.[1] ?? "", raw });
    start = end;
  }
  return fields;
}

/** The block as octets in a latin1 string, without the blank line. */
export function formatHeader(header: readonly HeaderField[]): string {
  return header.map((field) => field.raw).join("");
}

/** Unfolded latin1 values of all fields of that name, in order, trimmed. */
export function headerValues(header: readonly HeaderField[], name: string): string[] {
  const wanted = name.toLowerCase();
  const values: string[] = [];
  for (const field of header) if (isNamed(field, wanted)) values.push(fieldValue(field));
  return values;
}

/** Unfolded, trimmed latin1 value of one field (RFC 5322 §2.2.3). */
export function fieldValue({ raw }: HeaderField): string {
  const value = trimWhiteSpace(raw.slice(raw.indexOf(":") + 1));
  return value.includes("\r\n") ? value.replace(/\r\n(?=[ \t])/g, "") : value;
}

/**
 * A field from a name and a latin1 value, folded at white space near 78 columns. CR, LF and NUL become spaces.
 * Characters beyond latin1 become their UTF-8 octets: cut to eight bits, U+010A would be a line feed.
 */
export function makeField(name: string, value: string): HeaderField {
  if (!/^[\x21-\x39\x3b-\x7e]+$/.test(name)) throw new TypeError(`Cannot make a field named "${name}"`);
  const clean = cleanValue(value);
  if (name.length + ": ".length + clean.length > FOLD_AT) return { name, raw: fold(name, clean) };
  return { name, raw: clean === "" ? `${name}:\r\n` : `${name}: ${clean}\r\n` };
}

export function addFirst(header: readonly HeaderField[], field: HeaderField): HeaderField[] {
  return [field, ...header];
}

export function addLast(header: readonly HeaderField[], field: HeaderField): HeaderField[] {
  return [...header, field];
}

export function removeFields(header: readonly HeaderField[], name: string): HeaderField[] {
  const wanted = name.toLowerCase();
  return header.filter((field) => !isNamed(field, wanted));
}

/** Replaces all fields of that name by one, where the first of them stood, else at the end. */
export function setField(header: readonly HeaderField[], field: HeaderField): HeaderField[] {
  const wanted = field.name.toLowerCase();
  const fields: HeaderField[] = [];
  let isPlaced = false;
  for (const other of header) {
    const isReplaced = isNamed(other, wanted);
    if (!isReplaced) fields.push(other);
    else if (!isPlaced) fields.push(field);
    isPlaced ||= isReplaced;
  }
  if (!isPlaced) fields.push(field);
  return fields;
}

function cleanValue(value: string): string {
  const octets = /[^\x00-\xff]/.test(value) ? Buffer.from(value).toString("latin1") : value;
  return trimWhiteSpace(/[\r\n\0]/.test(octets) ? octets.replace(/[\r\n\0]+/g, " ") : octets);
}

function fold(name: string, clean: string): string {
  const lines: string[] = [];
  let line = `${name}:`;
  // White space goes before its word, so that no line is white space only (RFC 5322 §3.2.2).
  for (const word of clean.match(/[ \t]*[^ \t]+/g) ?? []) {
    const piece = lines.length === 0 && line === `${name}:` ? ` ${word}` : word;
    if (line.length + piece.length > FOLD_AT && line !== `${name}:`) {
      lines.push(line);
      line = piece;
    } else {
      line += piece;
    }
    for (; line.length > MAX_LINE; line = ` ${trimWhiteSpace(line.slice(MAX_LINE))}`) {
      lines.push(line.slice(0, MAX_LINE));
    }
  }
  return `${[...lines, line].join("\r\n")}\r\n`;
}

/** Where the field that begins at `start` ends: behind the first line end that no white space follows (RFC 5322 §2.2.3). */
function endOfField(block: string, start: number): number {
  for (let from = start; ; ) {
    const lineEnd = block.indexOf("\r\n", from);
    if (lineEnd < 0) return block.length;
    from = lineEnd + 2;
    const next = block.charCodeAt(from);
    if (next !== 0x20 && next !== 0x09) return from;
  }
}

/** `wanted` is in lower case. */
function isNamed({ name }: HeaderField, wanted: string): boolean {
  return name.length === wanted.length && name.toLowerCase() === wanted;
}

/** Not trim(): U+00A0 is an octet of UTF-8 here, no white space. */
function trimWhiteSpace(octets: string): string {
  let start = 0;
  let end = octets.length;
  while (start < end && isWhiteSpace(octets.charCodeAt(start))) start++;
  while (end > start && isWhiteSpace(octets.charCodeAt(end - 1))) end--;
  return octets.slice(start, end);
}

function isWhiteSpace(octet: number): boolean {
  return octet === 0x20 || octet === 0x09 || octet === 0x0d || octet === 0x0a;
}
