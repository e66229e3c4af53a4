/** Encoded words (RFC 2047): header text to and from the octets on the wire. Linear in the input. */
import { decodeCharset, decodeOctets } from "./charset.ts";

// RFC 2047 §2; white space inside the text is not allowed there, but common.
const WORD = /=\?([^?\x00-\x20]{1,64})\?([BbQq])\?([^?]*)\?=/g;

// Shorter than the 75 of RFC 2047 §2, so that "Subject: " and one word fit a line of 76.
const MAX_WORD = 62;
const Q_OVERHEAD = "=?utf-8?q??=".length;
const B_TEXT_OCTETS = Math.floor((MAX_WORD - Q_OVERHEAD) / 4) * 3;

interface Run {
  readonly charset: string;
  octets: Buffer[];
}

/** Readable text of an unfolded header value: encoded words decoded, raw octets read as UTF-8, else latin1. */
export function decodeHeaderText(latin1: string): string {
  if (!latin1.includes("=?")) return decodeOctets(latin1);
  let text = "";
  let end = 0;
  let run: Run | undefined;
  for (const match of latin1.matchAll(WORD)) {
    const between = latin1.slice(end, match.index);
    end = match.index + match[0].length;
    const [, charset = "", encoding = "", content = ""] = match;
    const octets = decodeWord(encoding, content);
    // RFC 2047 §6.2: white space between adjacent words is no text.
    const adjacent = run !== undefined && isWhiteSpace(between);
    if (adjacent && run?.charset === charset.toLowerCase()) {
      // Characters split between words are joined before decoding: common, though §5 forbids it.
      run.octets.push(octets);
      continue;
    }
    text += runText(run) + (adjacent ? "" : decodeOctets(between));
    run = { charset: charset.toLowerCase(), octets: [octets] };
  }
  return text + runText(run) + decodeOctets(latin1.slice(end));
}

/** Octets of a header text: ASCII as it is, else encoded words of at most 75 characters, divided by spaces. */
export function encodeHeaderText(text: string): string {
  const clean = text.replace(/[\r\n\0]+/g, " ");
  return /[^\t\x20-\x7e]/.test(clean) || clean.includes("=?") ? encodeWords(clean) : clean;
}

/** Encoded words for any text, also plain ASCII. */
export function encodeWords(text: string): string {
  const clean = text.isWellFormed() ? text : text.toWellFormed();
  const q = wordsQ(clean);
  const b = wordsB(clean);
  return q.length <= b.length ? q : b;
}

function decodeWord(encoding: string, content: string): Buffer {
  if (encoding === "B" || encoding === "b") return Buffer.from(content, "base64");
  const octets = content
    .replaceAll("_", " ")
    .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(octets, "latin1");
}

function runText(run: Run | undefined): string {
  return run === undefined ? "" : decodeCharset(Buffer.concat(run.octets), run.charset);
}

// Not trim(): U+00A0 is an octet of UTF-8 here, no white space.
function isWhiteSpace(octets: string): boolean {
  return /^[ \t\r\n]*$/.test(octets);
}

function wordsQ(text: string): string {
  const words: string[] = [];
  let word = "";
  for (const character of text) {
    const piece = qCharacter(character);
    if (word.length + piece.length + Q_OVERHEAD > MAX_WORD) {
      words.push(word);
      word = "";
    }
    word += piece;
  }
  return [...words, word].map((content) => `=?utf-8?q?${content}?=`).join(" ");
}

// RFC 2047 §5 (3): this set is safe in a phrase too, not only in unstructured text.
function qCharacter(character: string): string {
  if (character === " ") return "_";
  if (/^[A-Za-z0-9!*+/-]$/.test(character)) return character;
  return Buffer.from(character).toString("hex").toUpperCase().replace(/../g, "=$&");
}

function wordsB(text: string): string {
  const words: string[] = [];
  let start = 0;
  let octets = 0;
  let at = 0;
  for (const character of text) {
    const length = Buffer.byteLength(character);
    if (octets + length > B_TEXT_OCTETS) {
      words.push(text.slice(start, at));
      start = at;
      octets = 0;
    }
    octets += length;
    at += character.length;
  }
  words.push(text.slice(start));
  return words.map((content) => `=?utf-8?b?${Buffer.from(content).toString("base64")}?=`).join(" ");
}
