/** Helo stamp: stamps a message with the name its client gave, and refuses clients that give a forbidden one. Copy this file. */
import { reply } from "../../mail/reply.ts";
import type { Agent } from "./agent.ts";

export interface HeloStampSettings {
  readonly forbiddenNames: readonly string[];
}

const FORBIDDEN = reply(550, "5.7.1", "HELO name not accepted");

export const heloStamp: Agent<HeloStampSettings> = {
  key: "heloStamp",
  name: "Helo Stamp Agent",
  antispam: true,
  create({ forbiddenNames }, { log }) {
    const forbidden = new Set(forbiddenNames.map((name) => name.toLowerCase()));
    return {
      onEhlo(session, name) {
        if (!forbidden.has(name.toLowerCase())) return undefined;
        log.info({ sessionId: session.id }, "forbidden helo name");
        return { action: "reject", reply: FORBIDDEN, disconnect: true };
      },
      onMail(transaction) {
        transaction.stamp("Helo", transaction.session.helo);
        return undefined;
      },
    };
  },
};
