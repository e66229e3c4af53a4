/**
 * Contract inside the smtp room: what a session (session.ts, wire.ts) asks of the service that accepted it
 * (service.ts with connector, tls, auth, permissions, limits).
 *
 * @module
 */
import type { SecureContext } from "node:tls";
import type { Address } from "../../mail/address.ts";
import type { Reply } from "../../mail/reply.ts";
import type { Answer, SessionHandler, SmtpSession } from "../../mail/session.ts";
import type { ReceiveConnectorEntry } from "../../snapshot/schema.ts";

/** Where a session stands on the network, after the PROXY header. */
export interface Endpoints {
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** One per session, made by the service. Every answer undefined means: go on. */
export interface SessionServices {
  /** The connector in force for this client on this binding; asked at connect and at each MAIL. undefined: none any more (421). */
  connector(): ReceiveConnectorEntry | undefined;
  /** TLS context for STARTTLS and SNI; undefined: no usable certificate, STARTTLS is not offered. */
  secureContext(servername: string): SecureContext | undefined;
  /** Resolves whether the password is right. Constant time; never logs it. Rejects when it cannot know (4yz). */
  authenticate(user: string, password: string): Promise<boolean>;
  /** Send-as and own-domain checks at MAIL. */
  checkSender(session: SmtpSession, sender: Address | null): Answer;
  /** Relay check at RCPT. */
  checkRecipient(session: SmtpSession, recipient: Address): Answer;
  /** Message rate and back pressure at MAIL. */
  admitMessage(session: SmtpSession): Promise<Answer> | Answer;
  /** True once the service drains: 421 4.3.2 to new transactions, open ones may end. */
  draining(): boolean;
  /** The events of main. */
  readonly handler: SessionHandler;
  /** A line of the dialogue, when the connector's protocolLoggingLevel is Verbose; credentials already replaced. */
  protocolLog(direction: "<" | ">" | "*", line: string): void;
  /** An error that is ours: logged with its cause. */
  fault(error: unknown, during: string): void;
  /** A reply the session sent, for metrics. */
  replied(verb: string, reply: Reply): void;
  /** Called once, when the socket is gone. */
  closed(): void;
}
