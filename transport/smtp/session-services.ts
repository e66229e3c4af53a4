/**
 * SessionServices: what one session asks, answered from the configuration in force.
 *
 * connector() pins: the sender and recipient checks after it use the configuration of that moment, so that a
 * transaction keeps what it began with.
 *
 * @module
 */
import type { Reply } from "../../mail/reply.ts";
import type { Answer, SessionHandler, SmtpSession } from "../../mail/session.ts";
import type { ReceiveConnectorEntry } from "../../snapshot/schema.ts";
import { checkPassword } from "./auth.ts";
import type { LocalEnd } from "./binding.ts";
import { findConnector } from "./connector.ts";
import type { Endpoints, SessionServices } from "./contract.ts";
import type { InForce } from "./in-force.ts";
import {
  insufficientResources,
  type MessageRate,
  pressureDelayMs,
  rateExceeded,
  sourceOf,
  tooManyMessages,
} from "./limits.ts";
import type { PressureLevel, SmtpDeps } from "./mod.ts";
import { checkRecipient, checkSender } from "./permissions.ts";

/** What the service shares with its sessions. */
export interface Shared {
  readonly deps: SmtpDeps;
  readonly rate: MessageRate;
  inForce(): InForce;
  pressure(): { readonly level: PressureLevel; readonly sinceMs: number };
  draining(): boolean;
}

export interface Accepted {
  readonly endpoints: Endpoints;
  /** Where the socket itself was reached, which is what bindings speak of. */
  readonly local: LocalEnd;
  readonly connector: ReceiveConnectorEntry;
  /** Aborted when the socket is gone. */
  readonly gone: AbortSignal;
  /** undefined: it has not begun. */
  session(): SmtpSession | undefined;
  closed(): void;
}

interface Choice {
  readonly inForce: InForce;
  readonly connector: ReceiveConnectorEntry | undefined;
}

const noConnector: Answer = {
  reply: { code: 421, status: "4.3.2", text: "Service not available" },
  disconnect: true,
};
/** Other words come from the client, and would make a metric grow without end. */
const VERBS = new Set(
  "CONNECT SESSION UNKNOWN EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT EXPN".split(
    " ",
  ),
);

export function createSessionServices(shared: Shared, accepted: Accepted): SessionServices {
  const { deps } = shared;
  const { endpoints, local, gone } = accepted;
  const connectorName = accepted.connector.name;
  let latest: Choice = { inForce: shared.inForce(), connector: accepted.connector };
  let pinned = latest;
  let handler: SessionHandler | undefined;
  let messages = 0;

  /** The choice by the configuration in force; made anew only when that has changed. */
  function choose(): Choice {
    const inForce = shared.inForce();
    if (inForce === latest.inForce) return latest;
    const claim = findConnector(inForce.table, local, endpoints.clientAddress);
    // A binding that now wants TLS from the first octet has no place for a session that began without it.
    const became = claim?.connector.tls.mode === "Implicit" && accepted.connector.tls.mode !== "Implicit";
    latest = { inForce, connector: became ? undefined : claim?.connector };
    return latest;
  }

  return {
    connector() {
      pinned = choose();
      return pinned.connector;
    },
    get handler() {
      const session = accepted.session();
      if (session === undefined) throw new Error("Cannot open the events of a session: it has not begun");
      handler ??= deps.open(session);
      return handler;
    },
    secureContext(servername) {
      const { inForce, connector } = choose();
      return connector && inForce.certificates.get(connector.name)?.context(servername);
    },
    async authenticate(user, password) {
      const { inForce, connector } = choose();
      const name = connector?.name ?? "";
      const credentials = inForce.credentials.get(name);
      if (credentials === undefined) throw new Error(`Cannot check a password: "${name}" has no credentials`);
      return checkPassword(credentials, user, password);
    },
    checkSender(session, sender) {
      if (pinned.connector === undefined) return noConnector;
      return checkSender(session, sender, { connector: pinned.connector, domains: pinned.inForce.domains });
    },
    checkRecipient(session, recipient) {
      if (pinned.connector === undefined) return noConnector;
      return checkRecipient(session, recipient, {
        connector: pinned.connector,
        domains: pinned.inForce.domains,
      });
    },
    admitMessage(session) {
      if (pinned.connector === undefined) return noConnector;
      const refusal = admission(shared, { session, connector: pinned.connector, messages });
      if (refusal !== undefined) return refusal;
      // RFC 9422 section 4.1: MAILMAX counts every MAIL, whatever becomes of it afterwards.
      messages += 1;
      return slowDown(shared, gone);
    },
    draining: () => shared.draining(),
    protocolLog(direction, line) {
      if (pinned.connector?.protocolLoggingLevel !== "Verbose") return;
      const session = accepted.session()?.id;
      deps.log.info({ session, connector: pinned.connector.name, direction, line }, "smtp dialogue");
    },
    fault(error, during) {
      deps.log.error(
        { session: accepted.session()?.id, connector: connectorName, during, err: error },
        "session fault",
      );
    },
    replied(verb, reply) {
      const known = VERBS.has(verb.toUpperCase()) ? verb.toUpperCase() : "OTHER";
      deps.count("reply", { connector: connectorName, verb: known, code: String(reply.code) });
    },
    closed: accepted.closed,
  };
}

/** Refuses a message for load or limits; undefined: it is admitted and counted. */
function admission(
  { rate, pressure, deps }: Shared,
  now: {
    readonly session: SmtpSession;
    readonly connector: ReceiveConnectorEntry;
    readonly messages: number;
  },
): Answer {
  const { connector, session, messages } = now;
  if (pressure().level === "high") return { reply: insufficientResources };
  if (messages >= (connector.maxMessagesPerConnection ?? Number.POSITIVE_INFINITY))
    return cut(tooManyMessages);
  const limit = connector.messageRateLimit;
  if (limit === undefined) return undefined;
  return rate.admit(rateKey(session, connector), limit, deps.clock.now()) ? undefined : cut(rateExceeded);
}

async function slowDown({ pressure, deps }: Shared, gone: AbortSignal): Promise<Answer> {
  const { level, sinceMs } = pressure();
  if (level !== "medium") return undefined;
  try {
    await deps.clock.sleep(pressureDelayMs(deps.clock.now() - sinceMs), gone);
  } catch {
    // The client left: nobody waits for the answer.
  }
  return undefined;
}

/** A client that has not authenticated counts by its address, whatever the source is. */
function rateKey(
  { user, clientAddress }: SmtpSession,
  { name, messageRateSource }: ReceiveConnectorEntry,
): string {
  if (messageRateSource === "All") return `${name}|all`;
  if (messageRateSource === "User" && user !== undefined) return `${name}|user|${user.toLowerCase()}`;
  return `${name}|${sourceOf(clientAddress)}`;
}

function cut(reply: Reply): Answer {
  return { reply, disconnect: true };
}
