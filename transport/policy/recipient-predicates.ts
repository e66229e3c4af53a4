/** Predicates on recipients: those that hold for each by itself, and those that judge the whole message. */
import { type Address, addressKey } from "../../mail/address.ts";
import { domainAndParents } from "../../mail/domain.ts";
import type { Recipient } from "../../mail/message.ts";
import type { DomainTable } from "../../snapshot/domain-table.ts";
import { complete, type FacetValues } from "./facet-values.ts";
import { addressKeys, domainKeys, type Factories } from "./factory.ts";
import { type Facet, hasValue, type Measure, reaches } from "./predicate.ts";
import { containsWords, matchesPatterns, type TextSource } from "./text-source.ts";
import { addressText, type MessageView } from "./view.ts";

export const recipientPredicates = {
  sentTo: (addresses) => hasValue("sentTo", recipientAddress, addressKeys(addresses)),
  sentToScope: (scope) => hasValue("sentToScope", recipientScope, [scope]),
  recipientDomainIs: (domains) => hasValue("recipientDomainIs", recipientDomain, domainKeys(domains)),
  recipientAddressContainsWords: (words, context) =>
    containsWords("recipientAddressContainsWords", eachRecipient, words, context),
  recipientAddressMatchesPatterns: (patterns, context) =>
    matchesPatterns("recipientAddressMatchesPatterns", eachRecipient, patterns, context),
  anyOfRecipientAddressContainsWords: (words, context) =>
    containsWords("anyOfRecipientAddressContainsWords", anyRecipient, words, context),
  anyOfRecipientAddressMatchesPatterns: (patterns, context) =>
    matchesPatterns("anyOfRecipientAddressMatchesPatterns", anyRecipient, patterns, context),
  anyOfToHeader: (addresses) => hasValue("anyOfToHeader", fieldAddress(["to"]), addressKeys(addresses)),
  anyOfCcHeader: (addresses) => hasValue("anyOfCcHeader", fieldAddress(["cc"]), addressKeys(addresses)),
  anyOfToCcHeader: (addresses) =>
    hasValue("anyOfToCcHeader", fieldAddress(["to", "cc"]), addressKeys(addresses)),
  recipientCountOver: (count) => reaches("recipientCountOver", recipientCount, count + 1),
} satisfies Partial<Factories>;

/** A facet of recipients: its values for the message are the union over all of them. */
function recipientFacet(
  name: string,
  rank: number,
  valuesOf: (address: Address, domains: DomainTable) => readonly string[],
): Facet {
  const ofEach = `${name}:each`;
  return {
    name,
    rank,
    needsMime: false,
    values: (view) => complete(view.allRecipients.flatMap(({ address }) => valuesOf(address, view.domains))),
    valuesOf(recipient, view) {
      const known = view.memo(ofEach, () => new Map<Recipient, FacetValues>());
      const values = known.get(recipient) ?? complete(valuesOf(recipient.address, view.domains));
      known.set(recipient, values);
      return values;
    },
  };
}

const recipientAddress = recipientFacet("recipientAddress", 1, (address) => [addressKey(address)]);

const recipientDomain = recipientFacet("recipientDomain", 2, ({ domain }) => domainAndParents(domain));

const recipientScope = recipientFacet("recipientScope", 9, ({ domain }, domains) => [
  domains.isInside(domain) ? "InOrganization" : "NotInOrganization",
]);

const eachRecipient: TextSource = {
  name: "recipient",
  needsMime: false,
  texts: allTexts,
  textsOf: ({ address }: Recipient) => [addressText(address)],
};

const anyRecipient: TextSource = { name: "recipients", needsMime: false, texts: allTexts };

function allTexts(view: MessageView) {
  return { texts: view.allRecipients.map(({ address }) => addressText(address)), complete: true };
}

function fieldAddress(fields: readonly string[]): Facet {
  return {
    name: `fieldAddress:${fields.join()}`,
    rank: 1,
    needsMime: false,
    values: (view) => complete(fields.flatMap((field) => view.headerAddresses(field).map(addressKey))),
  };
}

const recipientCount: Measure = {
  name: "recipientCount",
  needsMime: false,
  measure: (view) => ({ value: view.allRecipients.length, complete: true }),
};
