/** MAIL and RCPT (RFC 5321 §4.1.1.2 and §4.1.1.3): syntax first, then the service's checks, then the handler. */

import { whenDone } from "../../lib/when-done.ts";
import { type Address, addressKey } from "../../mail/address.ts";
import type { Recipient } from "../../mail/message.ts";
import type { Reply } from "../../mail/reply.ts";
import { isUtf8Path, type PathArgument, parsePath, parsePathArgument } from "./command.ts";
import {
  ask,
  currentOffer,
  type Dialogue,
  type OpenTransaction,
  type Outcome,
  refusalOf,
  type Step,
  setConnector,
} from "./dialogue.ts";
import {
  type MailParameters,
  NO_MAIL_PARAMETERS,
  NO_RCPT_PARAMETERS,
  readMailParameters,
  readRcptParameters,
} from "./parameters.ts";
import { namedByLiteral } from "./permissions.ts";
import {
  AUTH_FIRST,
  BAD_ARGUMENTS,
  BAD_RECIPIENT,
  BAD_SENDER,
  BAD_SEQUENCE,
  EHLO_FIRST,
  INTERNAL_FAULT,
  MAIL_FIRST,
  NEEDS_SMTPUTF8,
  RECIPIENT_OK,
  SENDER_OK,
  SHUTTING_DOWN,
  TLS_FIRST,
  TOO_MANY_MESSAGES,
  TOO_MANY_RECIPIENTS,
} from "./replies.ts";

export function mail(dialogue: Dialogue, args: string): Step {
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
  const admitted = ask(dialogue, "MAIL", () => services.admitMessage(session));
  return whenDone(admitted, (admission) => {
    if (refusalOf(admission) !== undefined) return refuseMail(dialogue, transaction, admission);
    const checked = ask(dialogue, "MAIL", () => services.checkSender(session, sender));
    return whenDone(checked, (check) => beginMail(dialogue, transaction, slower(admission, check)));
  });
}

/** smtp has no objection; the handler is asked. `ours`: what was answered so far, with its delay. */
function beginMail(dialogue: Dialogue, transaction: OpenTransaction, ours: Outcome | undefined): Step {
  if (refusalOf(ours) !== undefined) return refuseMail(dialogue, transaction, ours);
  const asked = ask(dialogue, "MAIL", () => dialogue.services.handler.onMail(transaction));
  return whenDone(asked, (answer) => {
    const refusal = refusalOf(answer);
    if (refusal !== undefined) return { ...endMail(dialogue, transaction, refusal), isTheirs: true };
    dialogue.messages++;
    return later(answer ?? { reply: SENDER_OK }, ours?.delayMs);
  });
}

function refuseMail(dialogue: Dialogue, transaction: OpenTransaction, ours: Outcome | undefined): Outcome {
  return { ...endMail(dialogue, transaction, ours ?? { reply: INTERNAL_FAULT }), isTheirs: false };
}

function endMail(dialogue: Dialogue, { envelope }: OpenTransaction, refusal: Outcome): Outcome {
  dialogue.transaction = undefined;
  return { ...refusal, about: envelope };
}

export function rcpt(dialogue: Dialogue, args: string): Step {
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
  const checked = ask(dialogue, "RCPT", () => services.checkRecipient(session, recipient.address));
  return whenDone(checked, (ours) => {
    const refusal = refusalOf(ours);
    if (refusal !== undefined) {
      const about = { ...transaction.envelope, recipients: [recipient] };
      return { ...refusal, isTheirs: false, about };
    }
    return addRecipient(dialogue, { transaction, recipient, key }, ours?.delayMs);
  });
}

function addRecipient(
  dialogue: Dialogue,
  {
    transaction,
    recipient,
    key,
  }: { readonly transaction: OpenTransaction; readonly recipient: Recipient; readonly key: string },
  delayMs: number | undefined,
): Step {
  const asked = ask(dialogue, "RCPT", () => dialogue.services.handler.onRcpt(transaction, recipient));
  return whenDone(asked, (answer) => {
    const refusal = refusalOf(answer);
    if (refusal !== undefined) return refusal;
    transaction.keys.add(key);
    transaction.envelope.recipients.push(recipient);
    return later(answer ?? { reply: RECIPIENT_OK }, delayMs);
  });
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
  const { parameters } = argument;
  const read =
    parameters.length === 0
      ? { value: NO_MAIL_PARAMETERS }
      : readMailParameters(parameters, currentOffer(dialogue));
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
  const { parameters } = argument;
  const read =
    parameters.length === 0
      ? { value: NO_RCPT_PARAMETERS }
      : readRcptParameters(parameters, { ...currentOffer(dialogue), smtpUtf8 });
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

/** The second answer if it refuses; otherwise the one that asks for the longer delay. */
function slower(first: Outcome | undefined, second: Outcome | undefined): Outcome | undefined {
  if (refusalOf(second) !== undefined) return second;
  return (second?.delayMs ?? 0) >= (first?.delayMs ?? 0) ? (second ?? first) : first;
}

function later(outcome: Outcome, delayMs: number | undefined): Outcome {
  if (delayMs === undefined) return outcome;
  return { ...outcome, delayMs: Math.max(delayMs ?? 0, outcome.delayMs ?? 0) };
}
