/**
 * Address lists of header fields (RFC 5322 §3.4): groups, display names, quotes, comments, routes.
 *
 * One pass, linear in the input; what is no address is left out. Addresses outside RFC 5322 that clients
 * show all the same (";" as divider, a name after the address) are found too: rules must see them.
 *
 * @module
 */
import { type Address, parseAddress } from "./address.ts";
import { decodeOctets } from "./charset.ts";

/** Text of one entry: what stands in angle brackets, and what stands outside. */
interface Entry {
  outside: string;
  angle: string | undefined;
}

/** Mailboxes of an unfolded latin1 value such as that of From, To or Cc, in order. */
export function parseAddressList(latin1Value: string): Address[] {
  const plain = PLAIN_ENTRY.exec(latin1Value);
  if (plain !== null) return listOf({ outside: plain[1] ?? "", angle: plain[2] });
  return splitEntries(latin1Value).flatMap(listOf);
}

/** One entry without quotes, comments, literals or groups: words, a mailbox in brackets, or both. */
const PLAIN_ENTRY = /^([^()"[<>,;:]*)(?:<([^()"[<>,;:]*)>)?$/;

function listOf(entry: Entry): Address[] {
  const address = entryAddress(entry);
  return address === undefined ? [] : [address];
}

function splitEntries(value: string): Entry[] {
  const entries: Entry[] = [];
  let entry: Entry = { outside: "", angle: undefined };
  let inAngle = false;
  const add = (text: string) => {
    if (inAngle) entry.angle = (entry.angle ?? "") + text;
    else entry.outside += text;
  };
  const next = () => {
    if (entry.outside !== "" || entry.angle !== undefined) entries.push(entry);
    entry = { outside: "", angle: undefined };
    inAngle = false;
  };
  for (let at = 0; at < value.length; ) {
    const end = tokenEnd(value, at);
    const token = value.slice(at, end);
    at = end;
    if (token[0] === "(") add(" ");
    else if (token === "<") {
      inAngle = true;
      entry.angle = "";
    } else if (token === ">") inAngle = false;
    else if (token === ";" || (token === "," && !isRoute(inAngle, entry))) next();
    else if (token === ":") endOfPrefix(entry, inAngle);
    else add(token);
  }
  next();
  return entries;
}

/** A ":" outside ends a group's name, inside brackets a source route (RFC 5322 §4.4): neither is an address. */
function endOfPrefix(entry: Entry, inAngle: boolean): void {
  if (inAngle) entry.angle = "";
  else entry.outside = "";
}

// <@a,@b:ann@example.com>: the commas of a route do not divide the list.
function isRoute(inAngle: boolean, entry: Entry): boolean {
  return inAngle && (entry.angle ?? "").startsWith("@");
}

/** End of the token at `at`: a comment, quoted string or domain literal as a whole, a special, or a run of text. */
function tokenEnd(value: string, at: number): number {
  const first = value[at];
  if (first === "(") return commentEnd(value, at);
  if (first === '"') return closing(value, at, '"');
  if (first === "[") return closing(value, at, "]");
  if (first !== undefined && "<>,;:".includes(first)) return at + 1;
  let end = at + 1;
  while (end < value.length && !'()"[<>,;:'.includes(value[end] as string)) end++;
  return end;
}

/** After the closing character, "\" quoting the next one. Unterminated: the rest of the value. */
function closing(value: string, at: number, close: string): number {
  for (let end = at + 1; end < value.length; end++) {
    if (value[end] === "\\") end++;
    else if (value[end] === close) return end + 1;
  }
  return value.length;
}

/** Comments nest (RFC 5322 §3.2.2). */
function commentEnd(value: string, at: number): number {
  let depth = 0;
  for (let end = at; end < value.length; end++) {
    if (value[end] === "\\") end++;
    else if (value[end] === "(") depth++;
    else if (value[end] === ")" && --depth === 0) return end + 1;
  }
  return value.length;
}

function entryAddress({ outside, angle }: Entry): Address | undefined {
  const inBrackets = angle === undefined ? undefined : parseSpec(angle);
  if (inBrackets !== undefined) return inBrackets;
  // "ann@example.com <>" or no brackets at all: the address stands outside.
  return parseSpec(outside) ?? parseAnyWord(outside);
}

// Longer than any mailbox (RFC 5321 §4.5.3.1: 64 + 255), even quoted and with room for white space.
const MAX_SPEC = 2000;

/** Nothing is quoted, nothing beyond ASCII, and there is no white space to take out. */
const PLAIN_SPEC = /^[\x21\x23-\x7e]+$/;

/** addr-spec with the white space that RFC 5322 §3.4.1 allows around its parts taken out. */
function parseSpec(text: string): Address | undefined {
  if (text.length > MAX_SPEC) return undefined;
  if (PLAIN_SPEC.test(text)) return parseAddress(text);
  const spec = trimWhiteSpace(text);
  const quoted = /^"(?:[^"\\]|\\.)*"/s.exec(spec)?.[0] ?? "";
  const rest = spec.slice(quoted.length).replace(/[ \t\r\n]+/g, " ");
  return parseAddress(decodeOctets(quoted + rest.replace(/ ?([.@]) ?/g, "$1")));
}

function parseAnyWord(text: string): Address | undefined {
  if (text.length > MAX_SPEC || !text.includes("@")) return undefined;
  for (const word of text.split(/[ \t]+/)) {
    const address = word.includes("@") ? parseAddress(decodeOctets(word)) : undefined;
    if (address !== undefined) return address;
  }
  return undefined;
}

function trimWhiteSpace(text: string): string {
  return text.replace(/^[ \t\r\n]+/, "").replace(/[ \t\r\n]+$/, "");
}
