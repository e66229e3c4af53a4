/** Working header: what an edit will make of a header, so that later rules see it. Pure; glue edits the real one. */
import { type Address, addressKey, formatAddress } from "../../mail/address.ts";
import { parseAddressList } from "../../mail/address-list.ts";
import { decodeHeaderText, encodeHeaderText } from "../../mail/encoded-word.ts";
import { type HeaderField, headerValues, makeField, setField } from "../../mail/header.ts";

const REPLY_PREFIX = /^(?:(?:re|fw|fwd|aw|wg|sv|vs|antw|tr|rif|res)(?:\[\d+\])?:\s*)+/i;

/** The header with the text before its subject, or undefined: it stands there already, also behind "Re:". */
export function withSubjectPrefix(header: readonly HeaderField[], text: string): HeaderField[] | undefined {
  const subject = decodeHeaderText(headerValues(header, "Subject")[0] ?? "");
  const wanted = text.trim();
  const starts = (value: string) => value.startsWith(wanted);
  if (starts(subject) || starts(subject.replace(REPLY_PREFIX, ""))) return undefined;
  return setField(header, makeField("Subject", encodeHeaderText(text + subject)));
}

/** The header with the address at the end of its To or Cc, or undefined: it stands there already. */
export function withAddress(
  header: readonly HeaderField[],
  name: "To" | "Cc",
  address: Address,
): HeaderField[] | undefined {
  const values = headerValues(header, name).filter((value) => value !== "");
  const key = addressKey(address);
  if (values.flatMap(parseAddressList).some((other) => addressKey(other) === key)) return undefined;
  // Header values are octets; a local part beyond ASCII is written in UTF-8 (RFC 6532 §3.1).
  const written = Buffer.from(formatAddress(address), "utf8").toString("latin1");
  return setField(header, makeField(name, [...values, written].join(", ")));
}
