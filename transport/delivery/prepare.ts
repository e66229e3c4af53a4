/**
 * Prepare: a message as this host can take it: MAIL and RCPT parameters, header, body (RFC 1870, 3461, 6152, 6531, 8689).
 *
 * In: message, recipients, what the host offers. Out: a Transaction and the recipients it is for, or why the host
 * can't have the message. Bodies stream, except one that must be converted.
 *
 * @module
 */
import { formatAddress, formatPath } from "../../mail/address.ts";
import { formatHeader } from "../../mail/header.ts";
import type { Body, Message, Recipient } from "../../mail/message.ts";
import { type ContentRefusal, canName, type FittedContent, fitContent } from "./content.ts";
import { withReturnPath } from "./return-path.ts";
import type { Transaction } from "./transaction.ts";

export interface PrepareJob {
  readonly message: Message;
  readonly recipients: readonly Recipient[];
  readBody(body: Body): AsyncIterable<Uint8Array>;
}

export interface HostTraits {
  readonly extensions: ReadonlyMap<string, string>;
  readonly lmtp: boolean;
  readonly secure: boolean;
}

export interface Prepared {
  readonly kind: "ready";
  readonly transaction: Transaction;
  /** Those in the transaction, in order. */
  readonly recipients: readonly Recipient[];
  /** Those whose address this host can't be told (RFC 6531 §3.5). */
  readonly refused: readonly Recipient[];
}

export const utf8Refusal: ContentRefusal = {
  kind: "refused",
  status: "5.6.7",
  text: "The address needs SMTPUTF8, which the next hop does not offer",
  elsewhere: true,
};

/** Fits message and envelope to the host; at once, unless a body must be read to be converted. */
export function prepare(
  job: PrepareJob,
  host: HostTraits,
): Prepared | ContentRefusal | Promise<Prepared | ContentRefusal> {
  const { message } = job;
  const { extensions } = host;
  const early = refuseEnvelope(message, host);
  if (early !== undefined) return early;
  const [recipients, refused] = byName(job.recipients, extensions);
  const content = fitContent({ message, recipients, readBody: job.readBody }, extensions);
  const finish = (fitted: FittedContent | ContentRefusal) =>
    fitted.kind === "refused" ? fitted : transactionOf({ message, recipients, refused }, fitted, host);
  return content instanceof Promise ? content.then(finish) : finish(content);
}

type Told = Pick<Prepared, "recipients" | "refused"> & { readonly message: Message };

function transactionOf(
  { message, recipients, refused }: Told,
  content: FittedContent,
  host: HostTraits,
): Prepared | ContentRefusal {
  const { envelope } = message;
  const { extensions } = host;
  const fields = host.lmtp ? withReturnPath({ header: content.header, envelope }) : content.header;
  const header = `${formatHeader(fields)}\r\n`;
  const size = header.length + content.bodySize;
  // RFC 1870 §4: 0 or nothing is no fixed limit.
  const limit = Number(extensions.get("SIZE") ?? 0);
  if (limit > 0 && size > limit) {
    return refusal("5.3.4", `The message has ${size} octets, the next hop takes ${limit}`);
  }
  return {
    kind: "ready",
    recipients,
    refused,
    transaction: {
      mail: mailParameters(message, { ...content, size }, host),
      rcpts: recipients.map((recipient) => rcptParameters(recipient, host)),
      header,
      body: content.body,
      chunkSize: content.bodyType === "BINARYMIME" ? size : undefined,
    },
  };
}

/** Those that the host can be told of, and those it can't. */
function byName(
  all: readonly Recipient[],
  extensions: ReadonlyMap<string, string>,
): readonly [readonly Recipient[], readonly Recipient[]] {
  const can = ({ address }: Recipient) => canName(address, extensions);
  if (all.every(can)) return [all, []];
  return [all.filter(can), all.filter((recipient) => !can(recipient))];
}

function refuseEnvelope(
  { envelope }: Message,
  { extensions, lmtp, secure }: HostTraits,
): ContentRefusal | undefined {
  if (!canName(envelope.sender, extensions)) return utf8Refusal;
  // RFC 8689 §4.2.1: neither without TLS nor to a host that would not keep the promise. LMTP is the end of the road.
  if (envelope.requireTls && !(secure && (lmtp || extensions.has("REQUIRETLS")))) {
    return refusal("5.7.30", "The next hop does not support REQUIRETLS, which the sender demands");
  }
  return undefined;
}

function refusal(status: string, text: string): ContentRefusal {
  return { kind: "refused", status, text, elsewhere: true };
}

function mailParameters(
  { envelope }: Message,
  { bodyType, smtpUtf8, size }: Pick<FittedContent, "bodyType" | "smtpUtf8"> & { readonly size: number },
  host: HostTraits,
): string {
  const { extensions } = host;
  const parts = [`<${formatPath(envelope.sender)}>`];
  if (extensions.has("SIZE")) parts.push(`SIZE=${size}`);
  if (bodyType !== "7BIT") parts.push(`BODY=${bodyType}`);
  if (smtpUtf8) parts.push("SMTPUTF8");
  if (envelope.requireTls && extensions.has("REQUIRETLS")) parts.push("REQUIRETLS");
  if (passesDsn(host)) {
    if (envelope.ret !== undefined) parts.push(`RET=${envelope.ret}`);
    // RFC 3461 §4.4: only printable ASCII can be an ENVID.
    if (/^[\x20-\x7e]+$/.test(envelope.envid ?? "")) parts.push(`ENVID=${xtext(envelope.envid ?? "")}`);
  }
  return parts.join(" ");
}

function rcptParameters({ address, notify, orcpt }: Recipient, host: HostTraits): string {
  const parts = [`<${formatAddress(address)}>`];
  if (passesDsn(host)) {
    if (notify !== undefined && notify.length > 0) parts.push(`NOTIFY=${notify.join(",")}`);
    // RFC 6533 §3: an internationalized ORCPT needs SMTPUTF8.
    if (orcpt !== undefined && (/^[\x20-\x7e]*$/.test(orcpt) || host.extensions.has("SMTPUTF8")))
      parts.push(`ORCPT=${xtext(orcpt)}`);
  }
  return parts.join(" ");
}

/** With LMTP we deliver finally and report ourselves (RFC 3461 §5.2.3). */
function passesDsn({ extensions, lmtp }: HostTraits): boolean {
  return !lmtp && extensions.has("DSN");
}

/** RFC 3461 §4: anything but visible ASCII, and "+" and "=", as +HH. Letters beyond ASCII stand as they are (RFC 6533). */
export function xtext(text: string): string {
  return text.replace(/[\x00-\x20\x7f+=]/g, (char) => {
    const octet = char.charCodeAt(0).toString(16).toUpperCase();
    return `+${octet.padStart(2, "0")}`;
  });
}
