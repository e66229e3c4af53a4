/**
 * DomainTable: which accepted domain holds an address, and what is known of the recipient. Pure.
 *
 * A recipient counts only in the object that holds its domain: nobody lists, aliases or forwards the
 * addresses of a domain that another object won. Text that is no address is left out; compile reports both.
 *
 * @module
 */
import { type Address, addressKey, parseAddress } from "../mail/address.ts";
import type { AcceptedDomainEntry } from "./schema.ts";

/** What an address is, by the AcceptedDomain that holds it. */
export type RecipientRecord =
  | { readonly kind: "mailbox" }
  | { readonly kind: "alias"; readonly target: Address }
  | {
      readonly kind: "group";
      readonly members: readonly Address[];
      readonly requireSenderAuthentication: boolean;
    }
  | { readonly kind: "forward"; readonly targets: readonly Address[]; readonly keepCopy: boolean };

export interface DomainTable {
  /** The entry of the most specific accepted domain (exact, then nearest *.parent), or undefined: outside. */
  find(domain: string): AcceptedDomainEntry | undefined;
  /** Record of a recipient (sub-address stripped when the full one is unknown), or undefined: not listed. */
  lookup(address: Address): RecipientRecord | undefined;
  /**
   * "outside": not an accepted domain. "unknown": validation Reject and not listed (RFC 5321 550).
   * "known": listed. "unlisted": accepted without a list, or a relay domain.
   */
  classify(address: Address): "outside" | "unknown" | "known" | "unlisted";
  /** True when the domain is Authoritative or InternalRelay: inside the organization. */
  isInside(domain: string): boolean;
}

/** `hostname`: the transport's own name; where no accepted domain holds it, postmaster lives there alone. */
export type CreateDomainTable = (entries: readonly AcceptedDomainEntry[], hostname?: string) => DomainTable;

type Find = DomainTable["find"];

/** Recipients of one entry by addressKey. */
type Records = ReadonlyMap<string, RecipientRecord>;

const MAILBOX: RecipientRecord = { kind: "mailbox" };
const NO_RECORDS: Records = new Map();
/** Entries stay the same objects from snapshot to snapshot, and 100,000 recipients take a while to read. */
const recordsByEntry = new WeakMap<AcceptedDomainEntry, Records>();

/** Builds the table: O(domains + recipients of new entries); find is O(labels), lookup and classify O(labels). */
export const createDomainTable: CreateDomainTable = (entries, hostname = "") => {
  const find = indexDomains(entries);
  for (const entry of entries) recordsOf(entry);
  const own = ownRecords(entries, hostname, find);
  const lookup = (address: Address) => {
    const holder = find(address.domain);
    const records = holder === undefined ? own : recordsOf(holder);
    const plain = withoutSubAddress(address);
    return records.get(addressKey(address)) ?? (plain && records.get(addressKey(plain)));
  };
  return {
    find,
    lookup,
    classify(address) {
      if (lookup(address) !== undefined) return "known";
      const entry = find(address.domain);
      if (entry === undefined) return "outside";
      if (entry.type !== "Authoritative" || entry.recipients.validation !== "Reject") return "unlisted";
      // RFC 5321 §4.5.1: postmaster exists in every domain that takes mail.
      return isPostmaster(address) ? "unlisted" : "unknown";
    },
    isInside(domain) {
      const entry = find(domain);
      return entry !== undefined && entry.type !== "ExternalRelay";
    },
  };
};

function indexDomains(entries: readonly AcceptedDomainEntry[]): Find {
  const exact = new Map<string, AcceptedDomainEntry>();
  const parents = new Map<string, AcceptedDomainEntry>();
  for (const entry of entries) {
    for (const domain of entry.domains) {
      if (domain.startsWith("*.")) parents.set(domain.slice(2), entry);
      else exact.set(domain, entry);
    }
  }
  return (domain) => exact.get(domain) ?? nearestParent(parents, domain);
}

function nearestParent(parents: ReadonlyMap<string, AcceptedDomainEntry>, domain: string) {
  if (parents.size === 0) return undefined;
  for (let dot = domain.indexOf("."); dot >= 0; dot = domain.indexOf(".", dot + 1)) {
    const entry = parents.get(domain.slice(dot + 1));
    if (entry !== undefined) return entry;
  }
  return undefined;
}

/** Where an address is listed twice, a forward wins over a group, a group over an alias, an alias over a mailbox. */
function recordsOf(entry: AcceptedDomainEntry): Records {
  const { addresses, aliases, groups, forwards } = entry.recipients;
  if (addresses.length + aliases.length + groups.length + forwards.length === 0) return NO_RECORDS;
  const known = recordsByEntry.get(entry);
  if (known !== undefined) return known;
  const records = new Map<string, RecipientRecord>();
  addRecipients(entry, (text, record) => {
    const address = parseAddress(text);
    if (address === undefined) return;
    const key = addressKey(address);
    // Most are written as their key: then one string serves for both.
    records.set(key === text ? text : key, record);
  });
  recordsByEntry.set(entry, records);
  return records;
}

function addRecipients(
  { recipients }: AcceptedDomainEntry,
  add: (text: string, record: RecipientRecord) => void,
): void {
  for (const address of recipients.addresses) add(address, MAILBOX);
  for (const { alias, address } of recipients.aliases) {
    const target = parseAddress(address);
    if (target !== undefined) add(alias, { kind: "alias", target });
  }
  for (const { address, members, requireSenderAuthentication } of recipients.groups) {
    add(address, { kind: "group", members: parseAll(members), requireSenderAuthentication });
  }
  for (const { address, forwardTo, deliverToMailboxAndForward } of recipients.forwards) {
    const targets = parseAll(forwardTo);
    // A forward whose targets are all unusable must not swallow mail: the mailbox keeps it.
    const keepCopy = deliverToMailboxAndForward || targets.length === 0;
    add(address, { kind: "forward", targets, keepCopy });
  }
}

/** Recipients whose domain no entry holds. */
function ownRecords(entries: readonly AcceptedDomainEntry[], hostname: string, find: Find): Records {
  const postmaster = barePostmaster(entries);
  if (postmaster === undefined) return NO_RECORDS;
  const records = new Map([["postmaster@", postmaster]]);
  // DSNs come from there: who answers one must reach somebody.
  if (find(hostname) === undefined) records.set(`postmaster@${hostname.toLowerCase()}`, postmaster);
  return records;
}

/** RFC 5321 §4.5.1: <postmaster> without a domain is the postmaster of the first Authoritative domain. */
function barePostmaster(entries: readonly AcceptedDomainEntry[]): RecipientRecord | undefined {
  for (const { type, domains } of entries) {
    const domain = domains.find((name) => !name.startsWith("*."));
    if (type === "Authoritative" && domain !== undefined) {
      return { kind: "alias", target: { localPart: "postmaster", domain } };
    }
  }
  return undefined;
}

function parseAll(texts: readonly string[]): Address[] {
  return texts.flatMap((text) => parseAddress(text) ?? []);
}

/** RFC 5233: ann+list is ann. undefined: no sub-address; a local part that begins with "+" has none. */
function withoutSubAddress({ localPart, domain }: Address): Address | undefined {
  const plus = localPart.indexOf("+");
  return plus > 0 ? { localPart: localPart.slice(0, plus), domain } : undefined;
}

function isPostmaster({ localPart }: Address): boolean {
  return localPart.toLowerCase() === "postmaster";
}
