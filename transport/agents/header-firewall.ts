/** Header firewall: takes the organization's own header fields away from mail that strangers send. Runs always. */
import type { HeaderField } from "../../mail/header.ts";
import type { Agent, SettingsOf } from "./agent.ts";

export const headerFirewall: Agent<SettingsOf<"headerFirewall">> = {
  key: "headerFirewall",
  name: "Header Firewall Agent",
  antispam: false,
  create({ prefixes }) {
    const organization = prefixes.map((prefix) => prefix.toLowerCase()).filter((prefix) => prefix !== "");
    const shortest = Math.min(...organization.map(({ length }) => length));
    const isOurs = ({ name }: HeaderField) => {
      if (name.length < shortest) return false;
      const lower = name.toLowerCase();
      return organization.some((prefix) => lower.startsWith(prefix));
    };
    return {
      onEndOfHeaders(transaction) {
        if (transaction.session.internal) return undefined;
        const { header } = transaction;
        if (header.some(isOurs)) transaction.setHeader(header.filter((field) => !isOurs(field)));
        return undefined;
      },
    };
  },
};
