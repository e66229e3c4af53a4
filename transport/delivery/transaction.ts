/**
 * Transaction: one message over one open session: MAIL, RCPT, DATA or BDAT, the content (RFC 5321 §3.3, RFC 3030), LMTP (RFC 2033).
 *
 * In: the commands' parameters and the octets. Out: one Answer a recipient, in order. Never rejects,
 * except when reading the body does: then the connection is closed, so that the remote keeps nothing.
 *
 * @module
 */
import { bdatWriter, type ContentWriter, dataWriter, wholeData } from "./content-writer.ts";
import { type Answer, isLoss, type Loss, type RemoteReply } from "./outcome.ts";
import type { SmtpClient } from "./smtp-client.ts";

/** A body of at most so many is copied behind its header, for one write; a longer one goes out as it is. */
const COPIED_OCTETS = 16_384;

export interface Transaction {
  /** What follows "MAIL FROM:". */
  readonly mail: string;
  /** What follows "RCPT TO:", one a recipient. */
  readonly rcpts: readonly string[];
  /** The header block with its blank line: octets in a latin1 string. */
  readonly header: string;
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  /** Octets of header and body, when the content goes as one BDAT chunk (RFC 3030); undefined: by DATA. */
  readonly chunkSize?: number | undefined;
}

export interface TransactionAnswers {
  readonly answers: readonly Answer[];
  /** Recipients that RCPT TO took. */
  readonly accepted: number;
  /** The connection stands and no transaction is open on it. */
  readonly clean: boolean;
}

interface EnvelopeAnswers {
  readonly mail: RemoteReply | Loss;
  readonly rcpts: readonly (RemoteReply | Loss)[];
  /** undefined: DATA was not sent. */
  readonly data: RemoteReply | Loss | undefined;
}

/** Runs one transaction. */
export async function transact(client: SmtpClient, transaction: Transaction): Promise<TransactionAnswers> {
  const envelope = client.extensions.has("PIPELINING")
    ? await sendPipelined(client, transaction)
    : await sendStepwise(client, transaction);
  const early = envelopeFailure(envelope, transaction);
  if (early !== undefined) {
    await leaveData(client, envelope);
    return { answers: early, accepted: countAccepted(envelope), clean: false };
  }
  const accepted = countAccepted(envelope);
  const { lmtp, timeouts } = client.options;
  // RFC 2033 §4.2: one reply for each accepted recipient, in order.
  const wanted = lmtp ? accepted : 1;
  const finals = client.expect(wanted, timeouts.finalMs);
  const sending = sendContent(client, transaction, wanted);
  const complete = typeof sending === "boolean" ? sending : await sending;
  if (complete) client.wait(timeouts.finalMs);
  else client.close();
  const replies = complete ? await finals : (await finals).map(refusalOrLoss);
  return { answers: mergeFinals(envelope, replies), accepted, clean: client.lost === undefined };
}

/** RFC 2920 §3.1: the whole envelope in one go; DATA must come last in its group. */
function sendPipelined(client: SmtpClient, transaction: Transaction): Promise<EnvelopeAnswers> {
  const { mail, rcpts, chunkSize } = transaction;
  const commands = [`MAIL FROM:${mail}`];
  for (const rcpt of rcpts) commands.push(`RCPT TO:${rcpt}`);
  if (chunkSize === undefined) commands.push("DATA");
  return client.askAll(commands).then((replies) => ({
    mail: replies[0] as RemoteReply | Loss,
    rcpts: replies.slice(1, rcpts.length + 1),
    data: chunkSize === undefined ? replies.at(-1) : undefined,
  }));
}

async function sendStepwise(client: SmtpClient, transaction: Transaction): Promise<EnvelopeAnswers> {
  const { mail, rcpts, chunkSize } = transaction;
  const first = await client.ask(`MAIL FROM:${mail}`);
  const replies: (RemoteReply | Loss)[] = [];
  if (!isAccepted(first)) return { mail: first, rcpts: replies, data: undefined };
  for (const rcpt of rcpts) replies.push(await client.ask(`RCPT TO:${rcpt}`));
  const wanted = chunkSize === undefined && replies.some(isAccepted);
  const data = wanted ? await client.ask("DATA") : undefined;
  return { mail: first, rcpts: replies, data };
}

/** The answers when no content is to be sent; undefined: go on. */
function envelopeFailure(
  { mail, rcpts, data }: EnvelopeAnswers,
  transaction: Transaction,
): Answer[] | undefined {
  if (!isAccepted(mail)) return transaction.rcpts.map(() => ({ phase: "mail", answer: mail }));
  if (transaction.chunkSize !== undefined && rcpts.some(isAccepted)) return undefined;
  if (data !== undefined && !isLoss(data) && data.code === 354 && rcpts.some(isAccepted)) return undefined;
  return rcpts.map((answer) => {
    if (!isAccepted(answer) || data === undefined) return { phase: "rcpt", answer };
    if (isLoss(data) || data.code >= 400) return { phase: "data", answer: data };
    return { phase: "data", answer: { lost: true, reason: `unexpected reply to DATA: ${data.text}` } };
  });
}

/** RFC 2920 §3.1: a server may take a pipelined DATA although it took no recipient; end it with nothing in it. */
async function leaveData(client: SmtpClient, { mail, rcpts, data }: EnvelopeAnswers): Promise<void> {
  if (data === undefined || isLoss(data) || data.code >= 400) return;
  // One that took DATA without a sender, or answered it with 250, can't be trusted with an empty message.
  const refusedAll = rcpts.every((reply) => !isLoss(reply) && reply.code >= 400);
  if (!isAccepted(mail) || !refusedAll || data.code !== 354) return client.close();
  await client.ask(".");
}

/** A final reply before the final dot can only refuse. */
function refusalOrLoss(reply: RemoteReply | Loss): RemoteReply | Loss {
  if (isLoss(reply) || reply.code >= 400) return reply;
  return { lost: true, reason: `final reply before the end of the content: ${reply.text}` };
}

/** True: all of it was written. False: the remote answered or left before the end. */
function sendContent(
  client: SmtpClient,
  transaction: Transaction,
  finals: number,
): boolean | Promise<boolean> {
  const { header, body, chunkSize } = transaction;
  if (!(body instanceof Uint8Array)) return streamContent(client, { header, body, chunkSize }, finals);
  if (chunkSize === undefined && body.length <= COPIED_OCTETS) {
    client.write(wholeData(header, body));
    return true;
  }
  const writer = writerFor(chunkSize);
  const parts = [
    writer.begin(),
    writer.write(Buffer.from(header, "latin1")),
    writer.write(body),
    writer.end(),
  ];
  void writeAll(client, parts);
  return true;
}

function writerFor(chunkSize: number | undefined): ContentWriter {
  return chunkSize === undefined ? dataWriter() : bdatWriter(chunkSize);
}

interface StreamedContent {
  readonly header: string;
  readonly body: AsyncIterable<Uint8Array>;
  readonly chunkSize: number | undefined;
}

async function streamContent(
  client: SmtpClient,
  { header, body, chunkSize }: StreamedContent,
  finals: number,
): Promise<boolean> {
  const writer = writerFor(chunkSize);
  // A chunk goes out with what stands around it: header, chunk and end of a body that is one chunk are one write.
  let ready: Uint8Array[] = [writer.begin(), writer.write(Buffer.from(header, "latin1"))];
  let holdsChunk = false;
  try {
    for await (const chunk of body) {
      if (holdsChunk) {
        await writeAll(client, ready);
        ready = [];
      }
      if (client.awaited < finals) return false;
      ready.push(writer.write(chunk));
      holdsChunk = true;
    }
    ready.push(writer.end());
    void writeAll(client, ready);
  } catch (error) {
    // Without its end the remote must drop what it has (RFC 5321 §4.1.1.4).
    client.close();
    throw error;
  }
  return true;
}

/** Hands all of it to the socket at once; a promise when that is full. */
function writeAll(client: SmtpClient, parts: readonly Uint8Array[]): Promise<void> | undefined {
  let full: Promise<void> | undefined;
  client.cork();
  for (const part of parts) if (part.length > 0) full = client.write(part) ?? full;
  client.uncork();
  return full;
}

function mergeFinals({ rcpts }: EnvelopeAnswers, finals: readonly (RemoteReply | Loss)[]): Answer[] {
  const perRecipient = finals.length > 1 ? finals.values() : undefined;
  return rcpts.map((answer) => {
    if (!isAccepted(answer)) return { phase: "rcpt", answer };
    const final = perRecipient === undefined ? finals[0] : perRecipient.next().value;
    return { phase: "final", answer: final ?? { lost: true, reason: "no final reply" } };
  });
}

function countAccepted({ mail, rcpts }: EnvelopeAnswers): number {
  return isAccepted(mail) ? rcpts.filter(isAccepted).length : 0;
}

function isAccepted(answer: RemoteReply | Loss): answer is RemoteReply {
  return !isLoss(answer) && answer.code < 300;
}
