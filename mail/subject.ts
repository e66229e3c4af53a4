/** Header edits that transport rules make: words before the subject, addresses added (PrependSubject, AddToRecipients). */
import { type Address, addressKey, formatAddress } from "./address.ts";
import { parseAddressList } from "./address-list.ts";
import { toOctets } from "./charset.ts";
import { decodeHeaderText, encodeHeaderText } from "./encoded-word.ts";
import { addLast, fieldValue, type HeaderField, headerValues, makeField } from "./header.ts";

// Prefixes of replies and forwards, behind which the words may stand already.
const REPLY = /^(?:(?:re|aw|antw|sv|vs|fw|fwd|wg|tr|rv|res|enc)(?:\[\d{1,3}\])?:[ \t]*){1,20}/i;

/** Puts text before the subject, unless it stands there already (also behind "Re:"). */
export function prependSubject(header: readonly HeaderField[], text: string): HeaderField[] {
  const words = text.trim();
  if (words === "") return [...header];
  const isSubject = ({ name }: HeaderField) => name.toLowerCase() === "subject";
  if (!header.some(isSubject)) return addLast(header, makeField("Subject", encodeHeaderText(words)));
  return header.map((field) => (isSubject(field) ? prepended(field, words) : field));
}

/** Adds an address to the last field of that name, or makes the field; not twice. */
export function addAddressTo(
  header: readonly HeaderField[],
  field: "To" | "Cc",
  address: Address,
): HeaderField[] {
  const has = (value: string) =>
    parseAddressList(value).some((one) => addressKey(one) === addressKey(address));
  const values = headerValues(header, field);
  if (values.some(has)) return [...header];
  const added = toOctets(`<${formatAddress(address)}>`);
  const at = header.findLastIndex(({ name }) => name.toLowerCase() === field.toLowerCase());
  if (at < 0) return addLast(header, makeField(field, added));
  const old = values.at(-1) ?? "";
  const after = old === "" ? added : `${old}, ${added}`;
  // An unfinished quote or comment would swallow what comes after it.
  return header.with(at, makeField(field, has(after) ? after : `${added}, ${old}`));
}

function prepended(field: HeaderField, words: string): HeaderField {
  const value = fieldValue(field);
  const subject = decodeHeaderText(value);
  if (subject.startsWith(words) || subject.replace(REPLY, "").startsWith(words)) return field;
  const plain = encodeHeaderText(words);
  if (plain === words || !/^=\?/.test(value)) return makeField(field.name, `${plain} ${value}`);
  // RFC 2047 §6.2: the space between two encoded words is not shown, so it goes into the first.
  return makeField(field.name, `${encodeHeaderText(`${words} `)} ${value}`);
}
