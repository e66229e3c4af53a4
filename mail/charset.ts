/**
 * Charsets: octets to text and back, by the names that mail uses.
 *
 * Decoding never fails: an unknown charset, or octets that are not in it, give the nearest readable text.
 * Encoding is exact or undefined: a character that the charset lacks is never replaced.
 *
 * @module
 */
import { isUtf8 } from "node:buffer";

const decoders = new Map<string, TextDecoder | undefined>();
const EMPTY = Buffer.alloc(0);
const singleByteTables = new Map<string, ReadonlyMap<number, number>>();

/** The WHATWG name of a charset, or undefined when it is not known. "utf-8*en" (RFC 2231 §5) is utf-8. */
export function charsetName(label: string): string | undefined {
  return decoderOf(label)?.encoding;
}

/** Text of octets; a charset that is missing or unknown is read as UTF-8 when valid, else as latin1. */
export function decodeCharset(octets: Uint8Array, label: string | undefined): string {
  const decoder = label === undefined ? undefined : decoderOf(label);
  if (decoder === undefined || isAscii(decoder.encoding, label)) return decodeUnlabelled(octets);
  return decoder.decode(octets);
}

/** Text of octets in a latin1 string: UTF-8 when valid (RFC 6532), else latin1. */
export function decodeOctets(latin1: string): string {
  return /[^\x00-\x7f]/.test(latin1) ? decodeUnlabelled(Buffer.from(latin1, "latin1")) : latin1;
}

/** UTF-8 octets of a text, as a latin1 string: the form in which header fields are kept. */
export function toOctets(text: string): string {
  return /[^\x00-\x7f]/.test(text) ? Buffer.from(text).toString("latin1") : text;
}

/** Decodes pieces of one text: octets in, text out; end() gives what was held back. */
export interface CharsetStream {
  decode(octets: Uint8Array): string;
  end(): string;
}

/** For text that comes in pieces. Without a known charset: UTF-8, and latin1 where it is none, octet by octet. */
export function charsetStream(label: string | undefined): CharsetStream {
  const name = label === undefined || isAscii("windows-1252", label) ? undefined : charsetName(label);
  if (name === undefined) return unlabelledStream();
  const decoder = new TextDecoder(name);
  return { decode: (octets) => decoder.decode(octets, { stream: true }), end: () => decoder.decode() };
}

/** True: characters of ASCII are octets of the same number, wherever they stand in a text. */
export function keepsAscii(label: string | undefined): boolean {
  const names = label === undefined ? [] : [label.toLowerCase(), charsetName(label) ?? ""];
  return !names.some((name) => /^(?:utf-?16|utf-?32|utf-7|ucs|iso-2022|hz-)/.test(name));
}

/** Octets of a text in a charset, or undefined when the charset is unknown, multi-octet, or lacks a character. */
export function encodeCharset(text: string, label: string | undefined): Uint8Array | undefined {
  const name = label === undefined ? "us-ascii" : label.toLowerCase();
  if (!/[^\x00-\x7f]/.test(text) && keepsAscii(name)) return Buffer.from(text, "latin1");
  const decoder = decoderOf(name);
  if (decoder === undefined || name === "us-ascii" || name === "ascii") return undefined;
  if (decoder.encoding === "utf-8") return Buffer.from(text);
  const table = singleByteTable(decoder);
  if (table === undefined) return undefined;
  const octets: number[] = [];
  for (const character of text) {
    const octet = table.get(character.codePointAt(0) ?? 0);
    // WHATWG reads iso-8859-1 as windows-1252, but 0x80-0x9f are control characters there.
    if (octet === undefined || (isIso8859(name) && octet > 0x7f && octet < 0xa0)) return undefined;
    octets.push(octet);
  }
  return Uint8Array.from(octets);
}

function decoderOf(label: string): TextDecoder | undefined {
  const name = label.replace(/\*.*$/s, "").toLowerCase();
  // Names come from strangers: only plausible ones are looked up and remembered.
  if (!/^[a-z0-9_:.-]{1,40}$/.test(name)) return undefined;
  if (decoders.has(name)) return decoders.get(name);
  if (decoders.size > 500) decoders.clear();
  const decoder = makeDecoder(name);
  decoders.set(name, decoder);
  return decoder;
}

function makeDecoder(name: string): TextDecoder | undefined {
  for (const label of [name, name.replace(/^cp-?(\d+)$/, "windows-$1")]) {
    try {
      return new TextDecoder(label, { ignoreBOM: true });
    } catch {
      // RangeError: no such encoding; the next spelling may be known.
    }
  }
  return undefined;
}

// WHATWG reads us-ascii as windows-1252; mail that says us-ascii and is not is most often UTF-8.
function isAscii(encoding: string, label: string | undefined): boolean {
  return encoding === "windows-1252" && /^(?:us-)?ascii$/i.test(label ?? "");
}

function isIso8859(name: string): boolean {
  return name.startsWith("iso") || /^(?:l1|latin1)$/.test(name);
}

function decodeUnlabelled(octets: Uint8Array): string {
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  return buffer.toString(isUtf8(buffer) ? "utf8" : "latin1");
}

function unlabelledStream(): CharsetStream {
  let held: Buffer = EMPTY;
  const decode = (octets: Uint8Array, last: boolean) => {
    const own = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
    const buffer = held.length === 0 ? own : Buffer.concat([held, own]);
    const end = last ? buffer.length : buffer.length - cutLength(buffer);
    // A copy: the caller may reuse its octets.
    held = end === buffer.length ? EMPTY : Buffer.from(buffer.subarray(end));
    const sure = end === buffer.length ? buffer : buffer.subarray(0, end);
    return isUtf8(sure) ? sure.toString() : mixedText(sure);
  };
  return {
    decode: (octets) => decode(octets, false),
    end: () => (held.length === 0 ? "" : decode(EMPTY, true)),
  };
}

/** Octets at the end that may begin a character whose rest is still to come. */
function cutLength(buffer: Buffer): number {
  for (let length = 1; length <= Math.min(3, buffer.length); length++) {
    const octet = buffer[buffer.length - length] as number;
    if (octet >= 0xc0) return characterLength(octet) > length ? length : 0;
    if (octet < 0x80) return 0;
  }
  return 0;
}

/** Characters of UTF-8 where there are some, else latin1. */
function mixedText(octets: Buffer): string {
  const pieces: string[] = [];
  for (let at = 0; at < octets.length; ) {
    const character = octets.subarray(at, at + characterLength(octets[at] as number));
    const valid = isUtf8(character);
    pieces.push(valid ? character.toString() : octets.toString("latin1", at, at + 1));
    at += valid ? character.length : 1;
  }
  return pieces.join("");
}

function characterLength(lead: number): number {
  if (lead < 0xc0) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

/** Code point to octet, for charsets with one octet a character; undefined for the others. */
function singleByteTable(decoder: TextDecoder): ReadonlyMap<number, number> | undefined {
  const name = decoder.encoding;
  if (!/^(?:windows-|iso-8859-|koi8-|macintosh|x-mac-|ibm866)/.test(name)) return undefined;
  const known = singleByteTables.get(name);
  if (known !== undefined) return known;
  const table = new Map<number, number>();
  for (let octet = 0; octet < 256; octet++) {
    const text = decoder.decode(Uint8Array.of(octet));
    if (text.length === 1 && text !== "\ufffd") table.set(text.charCodeAt(0), octet);
  }
  singleByteTables.set(name, table);
  return table;
}
