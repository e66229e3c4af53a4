/**
 * Header fields in ASCII: UTF-8 in display names, subjects and parameters becomes encoded words (RFC 2047) or
 * percent signs (RFC 2231). What can't be written so without changing its meaning is left: undefined.
 *
 * @module
 */
import { isUtf8Address } from "./address.ts";
import { parseAddressList } from "./address-list.ts";
import { decodeOctets, toOctets } from "./charset.ts";
import { encodeHeaderText, encodeWords } from "./encoded-word.ts";
import { fieldValue, type HeaderField, makeField } from "./header.ts";

// RFC 5322 §3.6 and those whose form is as fixed: an encoded word would break them.
const STRUCTURED =
  /^(?:date|message-id|in-reply-to|references|return-path|received|dkim-signature|arc-.*|authentication-results|received-spf|auto-submitted|mime-version|content-transfer-encoding|content-id|list-.*|resent-date|resent-message-id|errors-to|disposition-notification-to)$/i;
const ADDRESSES = /^(?:resent-)?(?:from|to|cc|bcc|sender|reply-to)$/i;
const PARAMETERS = /^content-(?:type|disposition)$/i;

/** The field in ASCII, itself when it is; undefined when that is not possible. */
export function asciiField(field: HeaderField): HeaderField | undefined {
  if (!/[^\x00-\x7f]/.test(field.raw)) return field;
  if (!/^[\x21-\x39\x3b-\x7e]+$/.test(field.name)) return undefined;
  const value = decodeOctets(fieldValue(field));
  const ascii = asciiValue(field.name, value);
  return ascii === undefined || /[^\x00-\x7f]/.test(ascii) ? undefined : makeField(field.name, ascii);
}

/** All fields in ASCII, or the name of the first that can't be. */
export function asciiHeader(
  header: readonly HeaderField[],
): readonly HeaderField[] | { readonly field: string } {
  const fields: HeaderField[] = [];
  for (const field of header) {
    const ascii = asciiField(field);
    if (ascii === undefined) return { field: field.name };
    fields.push(ascii);
  }
  return fields;
}

function asciiValue(name: string, value: string): string | undefined {
  if (ADDRESSES.test(name)) return asciiAddresses(value);
  if (PARAMETERS.test(name)) return asciiParameters(value);
  // The FOR clause names a recipient; without it the trace is still whole (RFC 6857 §3.1.10).
  if (/^received$/i.test(name)) return value.replace(/[ \t]+for[ \t]+<[^<>]*>(?=[ \t]*;)/i, "");
  return STRUCTURED.test(name) ? undefined : encodeHeaderText(value);
}

// A quoted string, a comment, an address in brackets, or a run of words.
const NAME_OR_ADDRESS =
  /"((?:[^"\\]|\\.)*)"|\(([^()\\]*)\)|<[^<>]*>|(?:[^ \t"(),:;<>@[\]\\]+[ \t]+)*[^ \t"(),:;<>@[\]\\]+/g;

/** Names and comments become encoded words; addresses stay, so they must be ASCII. */
function asciiAddresses(value: string): string | undefined {
  const addresses = parseAddressList(toOctets(value));
  if (addresses.some(isUtf8Address)) return undefined;
  const ascii = value.replace(NAME_OR_ADDRESS, (whole: string, quoted?: string, comment?: string) => {
    if (whole.startsWith("<") || !/[^\x00-\x7f]/.test(whole)) return whole;
    // RFC 2047 §5 (3): no encoded word inside a quoted string; it stands in its place.
    if (quoted !== undefined) return encodeWords(quoted.replace(/\\(.)/g, "$1"));
    return comment !== undefined ? `(${encodeWords(comment)})` : encodeWords(whole);
  });
  return JSON.stringify(parseAddressList(ascii)) === JSON.stringify(addresses) ? ascii : undefined;
}

// A name, and the value that follows; a run without value is taken too, so that no octet is looked at twice.
const PARAMETER = /([^\s;=*"]+)(?:[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s";]+)))?/g;

/** name="grün" becomes name*=utf-8''gr%C3%BCn (RFC 2231 §4). */
function asciiParameters(value: string): string {
  return value.replace(PARAMETER, (whole: string, name: string, quoted?: string, token?: string) => {
    const text = quoted?.replace(/\\(["\\])/g, "$1") ?? token;
    if (text === undefined || !/[^\x00-\x7f]/.test(whole)) return whole;
    const encoded = toOctets(text).replace(
      /[^A-Za-z0-9.-]/g,
      (octet) => `%${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
    );
    return `${name}*=utf-8''${encoded}`;
  });
}
