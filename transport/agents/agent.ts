/**
 * Agent: one shape for everything that judges mail at an event. Copy skeleton.ts to write one.
 *
 * In: an event and its facts. Out: nothing (go on), or a Verdict that ends the event.
 * A handler that throws or outlives its time is answered 451 by the chain: never lost, never passed.
 *
 * @module
 */
import type { Address } from "../../mail/address.ts";
import type { HeaderField } from "../../mail/header.ts";
import type { Body, Message, Recipient } from "../../mail/message.ts";
import type { MimeSummary } from "../../mail/mime.ts";
import type { Reply } from "../../mail/reply.ts";
import type { SmtpSession, SmtpTransaction } from "../../mail/session.ts";
import type { DomainTable } from "../../snapshot/domain-table.ts";
import type { AgentEntry } from "../../snapshot/schema.ts";

/**
 * reject and defer carry the reply (5yz, 4yz), sent after delayMs. tarpit waits, then goes on with the next agent.
 * drop: answered 250, kept nowhere (traced as DROP). quarantine: answered 250, kept in the quarantine queue.
 */
export type Verdict =
  | undefined
  | ({ readonly action: "reject" } & Refusal)
  | ({ readonly action: "defer" } & Refusal)
  | { readonly action: "tarpit"; readonly delayMs: number }
  | { readonly action: "drop"; readonly reason: string }
  | { readonly action: "quarantine"; readonly reason: string };

interface Refusal {
  readonly reply: Reply;
  readonly disconnect?: boolean;
  readonly delayMs?: number;
}

/** Facts and levers of one transaction. Stamps travel with the message, outside the header. */
export interface AgentTransaction extends SmtpTransaction {
  /** Ties its events in the trace together; the message keeps it. */
  readonly networkMessageId: string;
  readonly stamps: Readonly<Record<string, string>>;
  stamp(name: string, value: string): void;
}

/** From OnEndOfHeaders on. */
export interface AgentHeaders extends AgentTransaction {
  readonly header: readonly HeaderField[];
  /** Replaces the header block. */
  setHeader(header: readonly HeaderField[]): void;
}

/** At OnEndOfData. */
export interface AgentContent extends AgentHeaders {
  readonly body: Body;
  /** MIME structure, attachments and text, scanned once and shared; of a body in memory at once. */
  mime(): MimeSummary | Promise<MimeSummary>;
  /** The body's octets as a stream. */
  read(): AsyncIterable<Uint8Array>;
  /** Replaces the parts of those paths (MimePart.path) by a text part that says `note`. */
  stripAttachments(paths: readonly string[], note: string): Promise<void>;
}

/** At the categorizer's events: the message and what is known of it so far. */
export interface AgentRouting {
  readonly message: Message;
  readonly recipients: readonly Recipient[];
  stamp(name: string, value: string): void;
  mime(): Promise<MimeSummary>;
}

type Result = Verdict | Promise<Verdict>;

export interface AgentHandlers {
  onConnect?(session: SmtpSession): Result;
  onEhlo?(session: SmtpSession, name: string): Result;
  onAuth?(session: SmtpSession, user: string): Result;
  onMail?(transaction: AgentTransaction): Result;
  onRcpt?(transaction: AgentTransaction, recipient: Recipient): Result;
  onData?(transaction: AgentTransaction): Result;
  onEndOfHeaders?(transaction: AgentHeaders): Result;
  onEndOfData?(transaction: AgentContent): Result;
  onReject?(session: SmtpSession, verb: string, reply: Reply): void;
  onReset?(session: SmtpSession): void;
  onDisconnect?(session: SmtpSession): void;
  onSubmitted?(routing: AgentRouting): Result;
  onResolved?(routing: AgentRouting): Result;
  onRouted?(routing: AgentRouting): Result;
  onCategorized?(routing: AgentRouting): Result;
  /** No event: true exempts a client from all anti-spam agents (IP allow list). The chain asks before it runs one. */
  exempts?(clientAddress: string): boolean;
}

/** What an agent may use. Made by main; tests bring their own. */
export interface AgentDeps {
  now(): number;
  domains: DomainTable;
  resolver: {
    /** A and AAAA records, [] when there are none; rejects on a failed lookup (SERVFAIL, timeout). */
    addresses(name: string): Promise<readonly string[]>;
    /** TXT records, joined per record; [] when there are none; rejects on a failed lookup. */
    texts(name: string): Promise<readonly string[]>;
  };
  log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

/** AgentDeps, and what the chain adds. */
export interface AgentTools extends AgentDeps {
  /** Resolves after `ms`, or rejects with the signal's reason. For bounds on look-ups; to delay a client, answer tarpit. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Settings of a built-in agent, as the snapshot holds them. */
export type SettingsOf<Key extends keyof AgentEntry> = NonNullable<AgentEntry[Key]>;

export interface Agent<Settings> {
  /** Property name in MailTransport spec.agents[], e.g. "senderFilter". */
  readonly key: string;
  /** Name in tracking and logs, Exchange's where it has one: "Sender Filter Agent". */
  readonly name: string;
  /** Anti-spam agents do not see internal mail (Exchange's Bypass-Anti-Spam right). */
  readonly antispam: boolean;
  create(settings: Settings, tools: AgentTools): AgentHandlers;
}

export type { Address };
