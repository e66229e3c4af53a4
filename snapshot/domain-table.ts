/**
 * DomainTable: which accepted domain holds an address, and what is known of the recipient. Built once per snapshot. Pure.
 */
import type { Address } from "../mail/address.ts";
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

export type CreateDomainTable = (entries: readonly AcceptedDomainEntry[]) => DomainTable;
