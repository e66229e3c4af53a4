/** Addresses and domains of settings as keys to compare. Pure. */
import { type Address, addressKey, parseAddress } from "../../mail/address.ts";
import { toALabel } from "../../mail/domain.ts";

/** Keys of addresses as an administrator wrote them; text that is no address is left out (the schema refuses it). */
export function addressKeys(texts: readonly string[]): ReadonlySet<string> {
  return new Set(texts.flatMap((text) => keyOf(text) ?? []));
}

/** A-labels in lower case. */
export function domainNames(texts: readonly string[]): ReadonlySet<string> {
  return new Set(texts.flatMap((text) => toALabel(text) ?? []));
}

/** RFC 5321 §4.5.1: postmaster is never refused. */
export function isPostmaster({ localPart }: Address): boolean {
  return localPart.toLowerCase() === "postmaster";
}

function keyOf(text: string): string | undefined {
  const address = parseAddress(text);
  return address && addressKey(address);
}
