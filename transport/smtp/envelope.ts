/** MAIL and RCPT (RFC 5321 §4.1.1.2 and §4.1.1.3): syntax first, then the service's checks, then the handler. */

import { type Address, addressKey } from "../../mail/address.ts";
import type { Reply } from "../../mail/reply.ts";
import { isUtf8Path, type PathArgument, parsePath, parsePathArgument } from "./command.ts";
import {
  ask,
  currentOffer,
  type Dialogue,
  type OpenTransaction,
  type Outcome,
  refusalOf,
  setConnector,
} from "./dialogue.ts";
import { type MailParameters, readMailParameters, readRcptParameters } from "./parameters.ts";
import { namedByLiteral } from "./permissions.ts";
import {
  AUTH_FIRST,
  BAD_ARGUMENTS,
  BAD_RECIPIENT,
  BAD_SENDER,
  BAD_SEQUENCE,
  EHLO_FIRST,
  MAIL_FIRST,
  NEEDS_SMTPUTF8,
  RECIPIENT_OK,
  SENDER_OK,
  SHUTTING_DOWN,
  TLS_FIRST,
  TOO_MANY_MESSAGES,
  TOO_MANY_RECIPIENTS,
} from "./replies.ts";

export async function mail(dialogue: Dialogue, args: string): Promise<Outcome> {
  const { services, session } = dialogue;
  if (session.helo === "") return { reply: EHLO_FIRST };
  if (dialogue.transaction !== undefined) return { reply: BAD_SEQUENCE };
  const wrong = pinConnector(dialogue);
  if (wrong !== undefined) return { reply: wrong };
  const parsed = parseSender(dialogue, args);
  if ("refusal" in parsed) return { reply: parsed.refusal };
  const { sender, parameters } = parsed;
  const transaction = makeTransaction(dialogue, sender, parameters);
  // Open from here on, so that a drain waits for the answer.
  dialogue.transaction = transaction;
  const answer = await firstRefusal([
    () => ask(dialogue, "MAIL", () => services.admitMessage(session)),
    () => ask(dialogue, "MAIL", () => services.checkSender(session, sender)),
  ]);
  const ours = refusalOf(answer);
  const theirAnswer = ours ?? (await ask(dialogue, "MAIL", () => services.handler.onMail(transaction)));
  const refusal = refusalOf(theirAnswer);
  if (refusal !== undefined) {
    dialogue.transaction = undefined;
    return { ...refusal, isTheirs: ours === undefined, about: transaction.envelope };
  }
  dialogue.messages++;
  return later(theirAnswer ?? { reply: SENDER_OK }, answer?.delayMs);
}

export async function rcpt(dialogue: Dialogue, args: string): Promise<Outcome> {
  const { services, session, transaction, connector } = dialogue;
  if (transaction === undefined) return { reply: session.helo === "" ? EHLO_FIRST : MAIL_FIRST };
  if (transaction.content !== undefined) return { reply: BAD_SEQUENCE };
  const parsed = parseRecipient(dialogue, transaction, args);
  if ("refusal" in parsed) return { reply: parsed.refusal };
  const { recipient } = parsed;
  const key = addressKey(recipient.address);
  if (transaction.keys.has(key)) return { reply: RECIPIENT_OK };
  // RFC 5321 §4.5.3.1.10.
  if (transaction.keys.size >= connector.maxRecipientsPerMessage) return { reply: TOO_MANY_RECIPIENTS };
  const answer = await ask(dialogue, "RCPT", () => services.checkRecipient(session, recipient.address));
  const ours = refusalOf(answer);
  if (ours !== undefined) {
    return { ...ours, isTheirs: false, about: { ...transaction.envelope, recipients: [recipient] } };
  }
  const theirAnswer = await ask(dialogue, "RCPT", () => services.handler.onRcpt(transaction, recipient));
  const refusal = refusalOf(theirAnswer);
  if (refusal !== undefined) return refusal;
  transaction.keys.add(key);
  transaction.envelope.recipients.push(recipient);
  return later(theirAnswer ?? { reply: RECIPIENT_OK }, answer?.delayMs);
}

/** The connector of this transaction; a reply when the client may not begin one. */
function pinConnector(dialogue: Dialogue): Reply | undefined {
  const { services, session } = dialogue;
  if (services.draining()) return SHUTTING_DOWN;
  const connector = services.connector();
  if (connector === undefined) return SHUTTING_DOWN;
  setConnector(dialogue, connector);
  if (dialogue.messages >= (connector.maxMessagesPerConnection ?? Number.POSITIVE_INFINITY)) {
    return TOO_MANY_MESSAGES;
  }
  if (connector.tls.mode === "Required" && session.tls === undefined) return TLS_FIRST;
  const groups = connector.permissionGroups;
  const isOpen = groups.includes("AnonymousUsers") || groups.includes("Relay") || session.internal;
  return isOpen ? undefined : AUTH_FIRST;
}

function parseSender(
  dialogue: Dialogue,
  args: string,
): { readonly sender: Address | null; readonly parameters: MailParameters } | { readonly refusal: Reply } {
  const argument = parsePathArgument("FROM", args);
  if (argument === undefined) return { refusal: BAD_ARGUMENTS };
  const read = readMailParameters(argument.parameters, currentOffer(dialogue));
  if ("refusal" in read) return read;
  if (argument.path === "") return { sender: null, parameters: read.value };
  const parsed = parseMailbox(argument, read.value.smtpUtf8, BAD_SENDER);
  if ("refusal" in parsed) return parsed;
  if (parsed.address.domain === "") return { refusal: BAD_SENDER };
  return { sender: parsed.address, parameters: read.value };
}

function parseRecipient(dialogue: Dialogue, transaction: OpenTransaction, args: string) {
  const argument = parsePathArgument("TO", args);
  if (argument === undefined) return { refusal: BAD_ARGUMENTS };
  const { smtpUtf8 } = transaction.envelope;
  const read = readRcptParameters(argument.parameters, { ...currentOffer(dialogue), smtpUtf8 });
  if ("refusal" in read) return read;
  const parsed = parseMailbox(argument, smtpUtf8, BAD_RECIPIENT);
  if ("refusal" in parsed) return parsed;
  const address = namedByLiteral(dialogue.session, parsed.address);
  return { recipient: { address, original: parsed.address, ...read.value } };
}

function parseMailbox(
  { path }: PathArgument,
  smtpUtf8: boolean,
  bad: Reply,
): { readonly address: Address } | { readonly refusal: Reply } {
  // RFC 6531 §3.4.
  if (isUtf8Path(path) && !smtpUtf8) return { refusal: NEEDS_SMTPUTF8 };
  const address = parsePath(path);
  return address === undefined ? { refusal: bad } : { address };
}

function makeTransaction(
  { session }: Dialogue,
  sender: Address | null,
  { declaredSize, ...parameters }: MailParameters,
): OpenTransaction {
  const envelope = { sender, recipients: [], ...parameters };
  return { session, envelope, declaredSize, keys: new Set(), content: undefined };
}

/** Runs checks until one refuses; the last answer otherwise, with the longest delay asked for. */
async function firstRefusal(
  checks: readonly (() => Promise<Outcome | undefined>)[],
): Promise<Outcome | undefined> {
  let slowest: Outcome | undefined;
  for (const check of checks) {
    const answer = await check();
    if (refusalOf(answer) !== undefined) return answer;
    if ((answer?.delayMs ?? 0) >= (slowest?.delayMs ?? 0)) slowest = answer ?? slowest;
  }
  return slowest;
}

function later(outcome: Outcome, delayMs: number | undefined): Outcome {
  return { ...outcome, delayMs: Math.max(delayMs ?? 0, outcome.delayMs ?? 0) };
}
