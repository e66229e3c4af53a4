/**
 * SessionServices: what one session asks, answered from the configuration in force.
 *
 * connector() pins: the sender and recipient checks after it use the configuration of that moment, so that a
 * transaction keeps what it began with.
 *
 * @module
 */
import type { SecureContext } from "node:tls";
import type { Rates } from "../../lib/rates.ts";
import type { Address } from "../../mail/address.ts";
import type { Reply } from "../../mail/reply.ts";
import type { Answer, SessionHandler, SmtpSession } from "../../mail/session.ts";
import type { ReceiveConnectorEntry } from "../../snapshot/schema.ts";
import type { Arrival } from "./arrival.ts";
import { checkPassword } from "./auth.ts";
import type { LocalEnd } from "./binding.ts";
import { findConnector } from "./connector.ts";
import type { Endpoints, SessionServices } from "./contract.ts";
import type { InForce } from "./in-force.ts";
import { insufficientResources, pressureDelayMs, rateExceeded, sourceOf, tooManyMessages } from "./limits.ts";
import type { PressureLevel, SmtpDeps } from "./mod.ts";
import { checkRecipient, checkSender } from "./permissions.ts";
import { replyLabels } from "./reply-labels.ts";

/** What the service shares with its sessions. */
export interface Shared {
  readonly deps: SmtpDeps;
  readonly rates: Rates;
  inForce(): InForce;
  pressure(): { readonly level: PressureLevel; readonly sinceMs: number };
  draining(): boolean;
}

export interface Accepted {
  readonly endpoints: Endpoints;
  /** Where the socket itself was reached, which is what bindings speak of. */
  readonly local: LocalEnd;
  readonly connector: ReceiveConnectorEntry;
  readonly arrival: Arrival;
}

interface Choice {
  readonly inForce: InForce;
  readonly connector: ReceiveConnectorEntry | undefined;
}

const noConnector: Answer = {
  reply: { code: 421, status: "4.3.2", text: "Service not available" },
  disconnect: true,
};

export function createSessionServices(shared: Shared, accepted: Accepted): SessionServices {
  return new Services(shared, accepted);
}

class Services implements SessionServices {
  readonly #shared: Shared;
  readonly #accepted: Accepted;
  #latest: Choice;
  #pinned: Choice;
  #handler: SessionHandler | undefined;
  #messages = 0;

  constructor(shared: Shared, accepted: Accepted) {
    this.#shared = shared;
    this.#accepted = accepted;
    this.#latest = { inForce: shared.inForce(), connector: accepted.connector };
    this.#pinned = this.#latest;
  }

  connector(): ReceiveConnectorEntry | undefined {
    this.#pinned = this.#choose();
    return this.#pinned.connector;
  }

  get handler(): SessionHandler {
    const { session } = this.#accepted.arrival;
    if (session === undefined) throw new Error("Cannot open the events of a session: it has not begun");
    this.#handler ??= this.#shared.deps.open(session.session);
    return this.#handler;
  }

  secureContext(servername: string): SecureContext | undefined {
    const { inForce, connector } = this.#choose();
    return connector && inForce.certificates.get(connector.name)?.context(servername);
  }

  async authenticate(user: string, password: string): Promise<boolean> {
    const { inForce, connector } = this.#choose();
    const name = connector?.name ?? "";
    const credentials = inForce.credentials.get(name);
    if (credentials === undefined) throw new Error(`Cannot check a password: "${name}" has no credentials`);
    return checkPassword(credentials, user, password);
  }

  checkSender(session: SmtpSession, sender: Address | null): Answer {
    const { connector, inForce } = this.#pinned;
    return connector === undefined
      ? noConnector
      : checkSender(session, sender, { connector, domains: inForce.domains });
  }

  checkRecipient(session: SmtpSession, recipient: Address): Answer {
    const { connector, inForce } = this.#pinned;
    return connector === undefined
      ? noConnector
      : checkRecipient(session, recipient, { connector, domains: inForce.domains });
  }

  admitMessage(session: SmtpSession): Promise<Answer> | Answer {
    const { connector } = this.#pinned;
    if (connector === undefined) return noConnector;
    const refusal = admission(this.#shared, { session, connector, messages: this.#messages });
    if (refusal !== undefined) return refusal;
    // RFC 9422 section 4.1: MAILMAX counts every MAIL, whatever becomes of it afterwards.
    this.#messages += 1;
    return this.#shared.pressure().level === "medium"
      ? slowDown(this.#shared, this.#accepted.arrival.gone)
      : undefined;
  }

  draining(): boolean {
    return this.#shared.draining();
  }

  protocolLog(direction: "<" | ">" | "*", line: string): void {
    const { connector } = this.#pinned;
    if (connector?.protocolLoggingLevel !== "Verbose") return;
    const fields = { session: this.#id(), connector: connector.name, direction, line };
    this.#shared.deps.log.info(fields, "smtp dialogue");
  }

  fault(error: unknown, during: string): void {
    const { connector } = this.#accepted;
    const fields = { session: this.#id(), connector: connector.name, during, err: error };
    this.#shared.deps.log.error(fields, "session fault");
  }

  replied(verb: string, { code }: Reply): void {
    this.#shared.deps.count("reply", replyLabels(this.#accepted.connector, verb, code));
  }

  closed(): void {
    this.#accepted.arrival.seat?.release();
  }

  /** The choice by the configuration in force; made anew only when that has changed. */
  #choose(): Choice {
    const inForce = this.#shared.inForce();
    if (inForce === this.#latest.inForce) return this.#latest;
    const { local, endpoints, connector } = this.#accepted;
    const claim = findConnector(inForce.table, local, endpoints.clientAddress);
    // A binding that now wants TLS from the first octet has no place for a session that began without it.
    const became = claim?.connector.tls.mode === "Implicit" && connector.tls.mode !== "Implicit";
    this.#latest = { inForce, connector: became ? undefined : claim?.connector };
    return this.#latest;
  }

  #id(): string | undefined {
    return this.#accepted.arrival.session?.session.id;
  }
}

/** Refuses a message for load or limits; undefined: it is admitted and counted. */
function admission(
  { rates, pressure, deps }: Shared,
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
  return rates.admit(rateKey(session, connector), limit, deps.clock.now()) ? undefined : cut(rateExceeded);
}

async function slowDown({ pressure, deps }: Shared, gone: AbortSignal): Promise<Answer> {
  try {
    await deps.clock.sleep(pressureDelayMs(deps.clock.now() - pressure().sinceMs), gone);
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
