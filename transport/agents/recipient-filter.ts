/**
 * Recipient filter: refuses blocked and unknown recipients at RCPT TO.
 *
 * A client that names too many unknown recipients is harvesting the directory: each further RCPT of its
 * session waits, known recipient or not, so that the wait tells it nothing.
 *
 * @module
 */
import { addressKey } from "../../mail/address.ts";
import { reply } from "../../mail/reply.ts";
import type { SmtpSession } from "../../mail/session.ts";
import { parseDuration } from "../../snapshot/schema.ts";
import { addressKeys, isPostmaster } from "./addresses.ts";
import type { Agent, SettingsOf } from "./agent.ts";

type Settings = SettingsOf<"recipientFilter">;

const UNKNOWN = reply(550, "5.1.1", "User unknown");

export const recipientFilter: Agent<Settings> = {
  key: "recipientFilter",
  name: "Recipient Filter Agent",
  antispam: true,
  create(settings, { domains }) {
    const blocked = addressKeys(settings.blockedRecipients);
    const tarpitMs = parseDuration(settings.tarpitInterval);
    /** Unknown recipients so far, by session. */
    const unknown = new WeakMap<SmtpSession, number>();
    return {
      onRcpt({ session }, { address }) {
        const count = unknown.get(session) ?? 0;
        const delayMs = count >= settings.harvestThreshold ? tarpitMs : 0;
        const isUnknown = settings.recipientValidationEnabled && domains.classify(address) === "unknown";
        if (isUnknown) unknown.set(session, count + 1);
        // A blocked recipient looks like an unknown one: it must not be told apart. RFC 5321 §4.5.1: but for postmaster.
        if (isUnknown || (blocked.size > 0 && blocked.has(addressKey(address)) && !isPostmaster(address))) {
          return { action: "reject", reply: UNKNOWN, delayMs };
        }
        return delayMs > 0 ? { action: "tarpit", delayMs } : undefined;
      },
    };
  },
};
