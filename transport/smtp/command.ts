/**
 * Command: a line of the dialogue to verb, path and parameters (RFC 5321 §4.1.1).
 *
 * Lenient where senders in the field are: a space after `MAIL FROM:`, spaces at the end. Nowhere else.
 * Pure; undefined means: no such thing.
 *
 * @module
 */
import { type Address, parseAddress } from "../../mail/address.ts";

export interface Command {
  /** Upper case. */
  readonly verb: string;
  readonly args: string;
}

/** One esmtp-param (RFC 5321 §4.1.2): keyword in upper case; value undefined when there is no "=". */
export interface Parameter {
  readonly keyword: string;
  readonly value: string | undefined;
}

export interface PathArgument {
  /** Between the angle brackets, without a source route; "" is the null path. */
  readonly path: string;
  readonly parameters: readonly Parameter[];
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The line as text, or undefined: control characters, or octets that are not UTF-8 (RFC 6531 §3.2). */
export function decodeLine(octets: Buffer): string | undefined {
  const text = octets.toString("latin1");
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(text)) return undefined;
  if (!/[\x80-\xff]/.test(text)) return text;
  try {
    const decoded = utf8.decode(octets);
    return /[\x80-\x9f]/.test(decoded) ? undefined : decoded;
  } catch {
    return undefined;
  }
}

/** Splits a line into its verb and the rest. */
export function parseCommand(line: string): Command {
  const text = line.replace(/[ \t]+$/, "");
  const space = text.search(/[ \t]/);
  if (space < 0) return { verb: text.toUpperCase(), args: "" };
  return { verb: text.slice(0, space).toUpperCase(), args: text.slice(space + 1).trimStart() };
}

/** Parses what follows MAIL or RCPT: `FROM:<path> parameters`. */
export function parsePathArgument(keyword: "FROM" | "TO", args: string): PathArgument | undefined {
  if (args.slice(0, keyword.length + 1).toUpperCase() !== `${keyword}:`) return undefined;
  const text = args.slice(keyword.length + 1).trimStart();
  const end = endOfPath(text);
  if (end === undefined) return undefined;
  const rest = text.slice(end + 1);
  if (rest !== "" && !/^[ \t]/.test(rest)) return undefined;
  const parameters = parseParameters(rest);
  if (parameters === undefined) return undefined;
  // RFC 5321 §4.1.1.3 and appendix C: a source route is accepted and ignored.
  return { path: text.slice(1, end).replace(/^@[^\s,:@"]+(?:,@[^\s,:@"]+)*:/, ""), parameters };
}

/** The mailbox of a path; undefined: not one. At most 256 octets (RFC 5321 §4.5.3.1.3). */
export function parsePath(path: string): Address | undefined {
  if (Buffer.byteLength(path) > 254) return undefined;
  // RFC 5321 §4.1.1.3: <postmaster> needs no domain.
  if (path.toLowerCase() === "postmaster") return { localPart: path, domain: "" };
  return parseAddress(path);
}

/** True when something beyond ASCII stands in the path, which needs SMTPUTF8 (RFC 6531 §3.4). */
export function isUtf8Path(path: string): boolean {
  return /[^\x00-\x7f]/.test(path);
}

/** Parses an EHLO or HELO argument; undefined: not one. Lenient, since RFC 5321 §4.1.4 forbids to refuse much. */
export function parseHelo(args: string): string | undefined {
  return /^[\x21-\x7e]{1,255}$/.test(args) ? args : undefined;
}

/** Index of the ">" that closes the path; one inside a quoted local part does not. */
function endOfPath(text: string): number | undefined {
  if (text[0] !== "<") return undefined;
  let quoted = false;
  for (let at = 1; at < text.length; at++) {
    const char = text[at];
    if (quoted && char === "\\") at++;
    else if (char === '"') quoted = !quoted;
    else if (!quoted && char === ">") return at;
    else if (!quoted && (char === "<" || char === " " || char === "\t")) return undefined;
  }
  return undefined;
}

function parseParameters(text: string): readonly Parameter[] | undefined {
  const words = text.split(/[ \t]+/).filter((word) => word !== "");
  const parameters: Parameter[] = [];
  for (const word of words) {
    const [, keyword, value] = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20=\x7f]+))?$/.exec(word) ?? [];
    if (keyword === undefined) return undefined;
    parameters.push({ keyword: keyword.toUpperCase(), value });
  }
  return parameters;
}
