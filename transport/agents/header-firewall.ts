/** Header firewall: takes the organization's own header fields away from mail that strangers send. Runs always. */
import type { Agent, SettingsOf } from "./agent.ts";

export const headerFirewall: Agent<SettingsOf<"headerFirewall">> = {
  key: "headerFirewall",
  name: "Header Firewall Agent",
  antispam: false,
  create({ prefixes }) {
    const organization = prefixes.map((prefix) => prefix.toLowerCase()).filter((prefix) => prefix !== "");
    const isOurs = (name: string) => organization.some((prefix) => name.toLowerCase().startsWith(prefix));
    return {
      onEndOfHeaders(transaction) {
        if (transaction.session.internal) return undefined;
        const kept = transaction.header.filter(({ name }) => !isOurs(name));
        if (kept.length < transaction.header.length) transaction.setHeader(kept);
        return undefined;
      },
    };
  },
};
