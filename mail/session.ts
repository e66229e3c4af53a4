/**
 * What the SMTP room tells the rest, and what it may be told: the contract between smtp, agents and main.
 *
 * smtp owns sockets, verbs, TLS, AUTH, connector choice, permissions and protocol limits. For each
 * accepted connection it asks main for a SessionHandler and calls it once per event. Values only.
 *
 * @module
 */
import type { Address } from "./address.ts";
import type { Envelope, Recipient } from "./message.ts";
import type { Reply } from "./reply.ts";

/** Facts of one SMTP session. smtp updates the object as the session goes on; everybody else reads. */
export interface SmtpSession {
  readonly id: string;
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** namespace/name of the receive connector in force for the current transaction. */
  readonly connector: string;
  /** EHLO or HELO argument; "" before it. */
  readonly helo: string;
  /** True after EHLO (not HELO). */
  readonly extended: boolean;
  readonly tls:
    | { readonly protocol: string; readonly cipher: string; readonly servername: string }
    | undefined;
  readonly user: string | undefined;
  /** True when authenticated or externally secured: the mail counts as internal, anti-spam agents pass it. */
  readonly internal: boolean;
  /** True when the session may relay to any domain. */
  readonly mayRelay: boolean;
}

/** Envelope under construction; grows with each accepted RCPT. */
export interface SmtpTransaction {
  readonly session: SmtpSession;
  readonly envelope: Envelope;
  /** SIZE parameter (RFC 1870), octets; undefined when not declared. */
  readonly declaredSize: number | undefined;
}

/** Whose mail a refusal of smtp's own stopped. */
export interface Refused {
  readonly sender: Address | null;
  readonly recipients: readonly Recipient[];
}

/** undefined: go on. Otherwise the reply to send; `disconnect` closes after it; `delayMs` waits first (tarpit). */
export type Answer =
  | undefined
  | { readonly reply: Reply; readonly disconnect?: boolean; readonly delayMs?: number };

/** Takes the octets of one message, already free of transparency dots and of forbidden CR, LF and NUL. */
export interface MessageSink {
  /** Resolves when more may be written (back pressure). Never throws: a fault shows in end(). */
  write(chunk: Uint8Array): Promise<void> | undefined;
  /** All octets are in. The answer is the reply to the end of data; a 2yz means: on disk. */
  end(): Promise<Answer & object>;
  /** The client left, or smtp refused the content: forget everything. */
  abort(): void;
}

/**
 * One per connection, made by main. Each method may answer; undefined accepts.
 * A method that throws is answered 451 4.3.0 by smtp, which logs the cause.
 */
export interface SessionHandler {
  onConnect(): Promise<Answer> | Answer;
  onEhlo(name: string): Promise<Answer> | Answer;
  /** After AUTH succeeded. */
  onAuth(user: string): Promise<Answer> | Answer;
  /** Called after smtp's own checks. The snapshot of the transaction is pinned here. */
  onMail(transaction: SmtpTransaction): Promise<Answer> | Answer;
  /** Called after smtp's own checks; `transaction` does not hold `recipient` yet. */
  onRcpt(transaction: SmtpTransaction, recipient: Recipient): Promise<Answer> | Answer;
  /** DATA or the first BDAT: refuse, or take the content. */
  onData(transaction: SmtpTransaction): Promise<Answer | MessageSink> | Answer | MessageSink;
  /** RSET, a second EHLO, or a transaction given up. */
  onReset(): void;
  /** smtp refused something by itself; for reputation, metrics and, where an address was named, the trace. */
  onReject(verb: string, reply: Reply, about?: Refused): void;
  onDisconnect(): void;
}

export type MailParameters = Omit<Envelope, "recipients">;
export type { Address };
