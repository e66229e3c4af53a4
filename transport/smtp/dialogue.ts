/**
 * Dialogue: what one session knows, and what a verb may answer.
 *
 * The verbs (verbs.ts, auth-verb.ts, envelope.ts, content.ts) read and change it; session.ts turns what they answer
 * into replies.
 *
 * @module
 */
import type { Clock } from "../../lib/clock.ts";
import type { Envelope, Recipient } from "../../mail/message.ts";
import type { Reply } from "../../mail/reply.ts";
import type { Answer, Refused, SmtpSession, SmtpTransaction } from "../../mail/session.ts";
import type { ReceiveConnectorEntry } from "../../snapshot/schema.ts";
import type { ContentReader } from "./content.ts";
import type { Endpoints, SessionServices } from "./contract.ts";
import { type Offer, offerOf } from "./ehlo.ts";
import { INTERNAL_FAULT } from "./replies.ts";
import type { SaslStep } from "./sasl.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

export interface OpenTransaction extends SmtpTransaction {
  readonly envelope: Omit<Envelope, "recipients"> & { readonly recipients: Recipient[] };
  /** Keys of the recipients. */
  readonly keys: Set<string>;
  /** Set with the first BDAT: from then on, only BDAT may follow (RFC 3030 §2). */
  content: ContentReader | undefined;
}

/** What the next octets are. */
export type Reading =
  | { readonly kind: "command" }
  | { readonly kind: "sasl"; readonly next: (line: string) => SaslStep }
  | { readonly kind: "data"; readonly content: ContentReader }
  /** BDAT octets; without content they are swallowed, and `refusal` answers them. */
  | {
      readonly kind: "chunk";
      readonly size: number;
      left: number;
      readonly isLast: boolean;
      readonly content: ContentReader | undefined;
      readonly refusal: Outcome | undefined;
    };

export interface Dialogue {
  readonly services: SessionServices;
  readonly clock: Clock;
  readonly session: Mutable<SmtpSession>;
  connector: ReceiveConnectorEntry;
  transaction: OpenTransaction | undefined;
  reading: Reading;
  /** Commands refused as protocol errors. */
  errors: number;
  logonFailures: number;
  /** MAIL commands accepted. */
  messages: number;
}

/** The answer of a verb. */
export interface Outcome {
  readonly reply: Reply;
  readonly disconnect?: boolean | undefined;
  /** The client has said QUIT: the connection closes after the reply. */
  readonly leaves?: boolean;
  readonly delayMs?: number | undefined;
  /** True when a handler said so: smtp does not report it back. */
  readonly isTheirs?: boolean;
  /** What a refusal of ours speaks of, when that is not the open transaction. */
  readonly about?: Refused | undefined;
  /** After the reply the transaction is over. */
  readonly endsTransaction?: boolean;
  /** After the reply the TLS handshake begins. */
  readonly startTls?: boolean;
}

export type Step = Outcome | Promise<Outcome>;

export function makeDialogue(
  { services, clock, endpoints }: { services: SessionServices; clock: Clock; endpoints: Endpoints },
  { id, connector }: { id: string; connector: ReceiveConnectorEntry },
): Dialogue {
  const session = makeSession(id, endpoints);
  const dialogue: Dialogue = {
    services,
    clock,
    session,
    connector,
    transaction: undefined,
    reading: { kind: "command" },
    errors: 0,
    logonFailures: 0,
    messages: 0,
  };
  setConnector(dialogue, connector);
  return dialogue;
}

export function makeSession(id: string, endpoints: Endpoints): Mutable<SmtpSession> {
  return {
    id,
    clientAddress: endpoints.clientAddress,
    clientPort: endpoints.clientPort,
    localAddress: endpoints.localAddress,
    localPort: endpoints.localPort,
    connector: "",
    helo: "",
    extended: false,
    tls: undefined,
    user: undefined,
    internal: false,
    mayRelay: false,
  };
}

/** Puts a connector in force, with the rights it gives. */
export function setConnector(dialogue: Dialogue, connector: ReceiveConnectorEntry): void {
  dialogue.connector = connector;
  dialogue.session.connector = connector.name;
  setUser(dialogue, dialogue.session.user);
}

/** Sets who has authenticated, and the rights that follow. */
export function setUser({ session, connector }: Dialogue, user: string | undefined): void {
  const isExternal = connector.authMechanisms.includes("ExternalAuthoritative");
  const groups = connector.permissionGroups;
  session.user = user;
  session.internal = user !== undefined || isExternal;
  session.mayRelay =
    isExternal || groups.includes("Relay") || (user !== undefined && groups.includes("AuthenticatedUsers"));
}

export function currentOffer({ connector, session, services }: Dialogue): Offer {
  return offerOf(connector, {
    extended: session.extended,
    isTls: session.tls !== undefined,
    isAuthenticated: session.user !== undefined,
    hasCertificate: session.tls === undefined && services.secureContext("") !== undefined,
  });
}

/** Gives the transaction up, if there is one. */
export function dropTransaction(dialogue: Dialogue): void {
  const { transaction } = dialogue;
  if (transaction === undefined) return;
  dialogue.transaction = undefined;
  transaction.content?.abort();
  guard(dialogue, "reset", () => dialogue.services.handler.onReset());
}

/** Calls a handler that answers nothing; what it throws is ours to log. */
export function guard({ services }: Dialogue, during: string, call: () => void): void {
  try {
    call();
  } catch (error) {
    services.fault(error, during);
  }
}

/** Asks a handler; a handler that throws is answered 451 4.3.0. undefined: go on. */
export function ask(
  { services }: Dialogue,
  during: string,
  call: () => Promise<Answer> | Answer,
): Promise<Outcome | undefined> | Outcome | undefined {
  try {
    const answer = call();
    if (!(answer instanceof Promise)) return heard(answer);
    return answer.then(heard).catch((error: unknown) => broken(services, error, during));
  } catch (error) {
    return broken(services, error, during);
  }
}

function heard(answer: Answer): Outcome | undefined {
  return answer === undefined ? undefined : theirs(answer);
}

function broken(services: SessionServices, error: unknown, during: string): Outcome {
  services.fault(error, during);
  return { reply: INTERNAL_FAULT };
}

export function theirs(answer: Answer & object): Outcome {
  return { ...answer, isTheirs: true };
}

/** The answer if it refuses. An answer of 2yz accepts with a text of its own. */
export function refusalOf(outcome: Outcome | undefined): Outcome | undefined {
  if (outcome === undefined) return undefined;
  return outcome.reply.code >= 300 || outcome.disconnect === true ? outcome : undefined;
}
