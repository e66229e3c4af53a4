/**
 * Content as a host can take it: 8-bit and UTF-8 content is converted where the host offers no extension for it.
 *
 * A body streams as it is, except when it must be converted: then it is read whole.
 *
 * @module
 */
import { type Address, isUtf8Address } from "../../mail/address.ts";
import { downgradeUtf8, needsSmtpUtf8, to7Bit } from "../../mail/convert.ts";
import type { HeaderField } from "../../mail/header.ts";
import type { Body, Message, Recipient } from "../../mail/message.ts";

/** The host can't have the message as it is; `elsewhere`: another host may. */
export interface ContentRefusal {
  readonly kind: "refused";
  readonly status: string;
  readonly text: string;
  readonly elsewhere: boolean;
}

export interface FittedContent {
  readonly kind: "fitted";
  readonly header: readonly HeaderField[];
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  readonly bodySize: number;
  /** BINARYMIME goes by BDAT. */
  readonly bodyType: "7BIT" | "8BITMIME" | "BINARYMIME";
  readonly smtpUtf8: boolean;
}

interface ContentJob {
  readonly message: Message;
  /** Those this host will be told of. */
  readonly recipients: readonly Recipient[];
  readBody(body: Body): AsyncIterable<Uint8Array>;
}

/** Leaves the content alone where it can. */
export function fitContent(
  job: ContentJob,
  extensions: ReadonlyMap<string, string>,
): FittedContent | ContentRefusal | Promise<FittedContent | ContentRefusal> {
  const { message, recipients } = job;
  const { sender } = message.envelope;
  const envelope = { sender, recipients, smtpUtf8: message.envelope.smtpUtf8 };
  const international = needsSmtpUtf8({ envelope, header: message.header });
  const smtpUtf8 = international && extensions.has("SMTPUTF8");
  let { header } = message;
  if (international && !smtpUtf8) {
    const ascii = downgradeUtf8(header, envelope);
    if (ascii.kind === "impossible") return refusal("5.6.7", "SMTPUTF8", ascii.reason);
    header = ascii.header;
  }
  const { body } = message;
  const { bodyType } = message.envelope;
  if (takes(bodyType, extensions)) {
    const octets = body.kind === "inline" ? body.bytes : job.readBody(body);
    return { kind: "fitted", header, body: octets, bodySize: body.size, bodyType, smtpUtf8 };
  }
  if (body.kind === "inline") return convert(header, body.bytes, smtpUtf8);
  return readWhole(job.readBody(body)).then((octets) => convert(header, octets, smtpUtf8));
}

function convert(
  header: readonly HeaderField[],
  octets: Uint8Array,
  smtpUtf8: boolean,
): FittedContent | ContentRefusal {
  const converted = to7Bit(header, octets);
  if (converted.kind === "impossible") return refusal("5.6.3", "8BITMIME", converted.reason);
  const { body } = converted;
  return {
    kind: "fitted",
    header: converted.header,
    body,
    bodySize: body.length,
    bodyType: "7BIT",
    smtpUtf8,
  };
}

function takes(bodyType: Message["envelope"]["bodyType"], extensions: ReadonlyMap<string, string>): boolean {
  if (bodyType === "7BIT") return true;
  // RFC 6152 §3: 8-bit content only to who offers it; RFC 3030 §3: binary content by BDAT only.
  if (bodyType === "8BITMIME") return extensions.has("8BITMIME");
  return extensions.has("BINARYMIME") && extensions.has("CHUNKING");
}

async function readWhole(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function refusal(status: string, extension: string, reason: string): ContentRefusal {
  const text = `The next hop does not offer ${extension}, and the message can't be converted: ${reason}`;
  return { kind: "refused", status, text, elsewhere: true };
}

/** Whether this host can be told of the address (RFC 6531 §3.5). */
export function canName(address: Address | null, extensions: ReadonlyMap<string, string>): boolean {
  return address === null || extensions.has("SMTPUTF8") || !isUtf8Address(address);
}
