/** NOTIFY (RFC 3461 §4.1) on the way through aliases, groups and duplicates. Pure. */
import { type Address, formatAddress, isUtf8Address } from "../../mail/address.ts";
import type { Notify, Recipient } from "../../mail/message.ts";

type NotifySet = Recipient["notify"];

/** RFC 3461 §4.1: without NOTIFY, failures are reported and delays may be. */
const DEFAULT: readonly Notify[] = ["FAILURE", "DELAY"];
const ORDER: readonly Notify[] = ["SUCCESS", "FAILURE", "DELAY"];

export function wantsSuccess(notify: NotifySet): boolean {
  return notify?.includes("SUCCESS") ?? false;
}

/** What members of a group inherit: success was reported for the group ("expanded"), never again for a member. */
export function withoutSuccess(notify: NotifySet): NotifySet {
  if (notify === undefined || !wantsSuccess(notify)) return notify;
  return orNever(notify.filter((keyword) => keyword !== "SUCCESS"));
}

/** One delivery for two wishes: whatever either of them asked to hear. */
export function mergeNotify(a: NotifySet, b: NotifySet): NotifySet {
  const wanted = new Set([...(a ?? DEFAULT), ...(b ?? DEFAULT)]);
  const merged = ORDER.filter((keyword) => wanted.has(keyword));
  const isDefault = merged.length === 2 && !wanted.has("SUCCESS");
  return isDefault && (a === undefined || b === undefined) ? undefined : orNever(merged);
}

/** Two recipients that are one mailbox: the first stays, NOTIFY is merged. */
export function mergeRecipients(first: Recipient, second: Recipient): Recipient {
  const notify = mergeNotify(first.notify, second.notify);
  const forwarded = first.forwarded ?? second.forwarded;
  const isSame = notify === first.notify && forwarded === first.forwarded;
  return isSame ? first : { ...first, notify, ...(forwarded && { forwarded }) };
}

/** Equal for equal wishes. */
export function notifyKey(notify: NotifySet): string {
  return notify === undefined ? "-" : [...notify].sort().join();
}

function orNever(keywords: readonly Notify[]): readonly Notify[] {
  return keywords.length === 0 ? ["NEVER"] : keywords;
}

/** ORCPT of an address that is about to change (RFC 3461 §4.2, RFC 6533 §3). */
export function originalRecipient(address: Address): string {
  return `${isUtf8Address(address) ? "utf-8" : "rfc822"};${formatAddress(address)}`;
}
