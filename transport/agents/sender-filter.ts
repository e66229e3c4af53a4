/** Sender filter: refuses blocked senders, in the envelope at MAIL FROM and in the From field at the end of headers. */
import { type Address, addressKey } from "../../mail/address.ts";
import { parseAddressList } from "../../mail/address-list.ts";
import { domainAndParents } from "../../mail/domain.ts";
import { headerValues } from "../../mail/header.ts";
import { reply } from "../../mail/reply.ts";
import { addressKeys, domainNames } from "./addresses.ts";
import type { Agent, AgentTransaction, SettingsOf, Verdict } from "./agent.ts";

type Settings = SettingsOf<"senderFilter">;

/** Stamped instead of a refusal when the action is StampStatus. */
export const BLOCKED_SENDER_STAMP = "BlockedSender";

const DENIED: Verdict = { action: "reject", reply: reply(554, "5.1.0", "Sender denied") };

export const senderFilter: Agent<Settings> = {
  key: "senderFilter",
  name: "Sender Filter Agent",
  antispam: true,
  create(settings) {
    const isBlocked = blockedBy(settings);
    const act = (transaction: AgentTransaction): Verdict => {
      if (settings.action === "Reject") return DENIED;
      transaction.stamp(BLOCKED_SENDER_STAMP, "true");
      return undefined;
    };
    return {
      onMail(transaction) {
        const { sender } = transaction.envelope;
        const blocked = sender === null ? settings.blankSenderBlockingEnabled : isBlocked(sender);
        return blocked ? act(transaction) : undefined;
      },
      onEndOfHeaders(transaction) {
        // RFC 5322 §3.6.2 allows one From field with several authors; a second field is judged as well.
        const authors = headerValues(transaction.header, "From").flatMap(parseAddressList);
        return authors.some(isBlocked) ? act(transaction) : undefined;
      },
    };
  },
};

function blockedBy(settings: Settings): (sender: Address) => boolean {
  const senders = addressKeys(settings.blockedSenders);
  const domains = domainNames(settings.blockedDomains);
  const trees = domainNames(settings.blockedDomainsAndSubdomains);
  return (sender) =>
    (senders.size > 0 && senders.has(addressKey(sender))) ||
    domains.has(sender.domain) ||
    (trees.size > 0 && domainAndParents(sender.domain).some((domain) => trees.has(domain)));
}
