/**
 * DSN: delivery status notification as a multipart/report (RFC 6522, 3464, 3461; UTF-8 forms RFC 6533).
 *
 * In: what happened to some recipients of one message, and that message. Out: header and body of the notice.
 * The caller sends it from the null reverse-path, and not at all when the message had none (RFC 3464 §2).
 * Text that others gave (replies, ORCPT, ENVID) is cleaned: it can add neither a field nor a part.
 *
 * @module
 */
import { type Address, formatAddress, isUtf8Address } from "./address.ts";
import { has8Bit, hasBinary } from "./body-octets.ts";
import { freeBoundary } from "./boundary.ts";
import { toOctets } from "./charset.ts";
import type { DsnInput, DsnKind, DsnRecipient } from "./dsn-input.ts";
import { dsnSubject, dsnText, isReply, mtaName } from "./dsn-text.ts";
import { decodeHeaderText, encodeHeaderText } from "./encoded-word.ts";
import { formatHeader, type HeaderField, headerValues, makeField } from "./header.ts";
import { formatDate } from "./received.ts";
import { encodeQuotedPrintable } from "./transfer-encoding.ts";

export type { DsnInput, DsnKind, DsnRecipient } from "./dsn-input.ts";

export interface Dsn {
  readonly header: HeaderField[];
  readonly body: Uint8Array;
  /** For the envelope of the notice. */
  readonly bodyType: "7BIT" | "8BITMIME";
  readonly smtpUtf8: boolean;
}

export function composeDsn(input: DsnInput): Dsn {
  const parts = [textPart(dsnText(input)), statusPart(input), originalPart(input)];
  const boundary = freeBoundary(`dsn-${input.id}`, parts);
  const body = Buffer.concat([
    ...parts.flatMap((part) => [latin1(`--${boundary}\r\n`), part, latin1("\r\n")]),
    latin1(`--${boundary}--\r\n`),
  ]);
  const bodyType = has8Bit(body) ? "8BITMIME" : "7BIT";
  return { header: topHeader(input, boundary, bodyType), body, bodyType, smtpUtf8: isUtf8Address(input.to) };
}

function topHeader(input: DsnInput, boundary: string, bodyType: Dsn["bodyType"]): HeaderField[] {
  const { hostname, original, kind } = input;
  const subject = decodeHeaderText(headerValues(original.header, "subject")[0] ?? "");
  const messageId = /^<[\x21-\x3b\x3d\x3f-\x7e]{1,250}>$/.exec(
    headerValues(original.header, "message-id")[0] ?? "",
  );
  const report = original.envelope.smtpUtf8 ? "global-delivery-status" : "delivery-status";
  return [
    makeField("From", `"Mail Delivery System" <postmaster@${hostname}>`),
    makeField("To", toOctets(`<${formatAddress(input.to)}>`)),
    makeField("Subject", encodeHeaderText(dsnSubject(kind, subject))),
    makeField("Date", formatDate(input.now)),
    makeField("Message-ID", `<${input.id}@${hostname}>`),
    ...(messageId === null
      ? []
      : [makeField("In-Reply-To", messageId[0]), makeField("References", messageId[0])]),
    // RFC 3834 §5: nobody answers this automatically.
    makeField("Auto-Submitted", "auto-replied"),
    makeField("MIME-Version", "1.0"),
    makeField("Content-Type", `multipart/report; report-type=${report}; boundary="${boundary}"`),
    ...(bodyType === "7BIT" ? [] : [makeField("Content-Transfer-Encoding", "8bit")]),
  ];
}

function textPart(text: string): Buffer {
  const octets = Buffer.from(text);
  // RFC 5322 §2.1.1: 998 octets a line; addresses and replies are shorter, unless they are not.
  const plain = !has8Bit(octets) && !hasBinary(octets);
  const header = `Content-Type: text/plain; charset=${plain ? "us-ascii" : "utf-8"}\r\n`;
  if (plain) return latin1(`${header}\r\n${text}`);
  const encoded = encodeQuotedPrintable(octets);
  return Buffer.concat([latin1(`${header}Content-Transfer-Encoding: quoted-printable\r\n\r\n`), encoded]);
}

function statusPart(input: DsnInput): Buffer {
  const { envelope, receivedAt } = input.original;
  const utf8 = envelope.smtpUtf8;
  const groups = [
    [
      ...(envelope.envid ? [statusField("Original-Envelope-Id", envelope.envid, utf8)] : []),
      statusField("Reporting-MTA", `dns; ${input.hostname}`, utf8),
      statusField("Arrival-Date", formatDate(receivedAt), utf8),
    ],
    ...input.recipients.map((recipient) => recipientFields(input.kind, recipient, utf8)),
  ];
  const block = groups.map((fields) => fields.join("")).join("\r\n");
  const type = utf8 ? "message/global-delivery-status" : "message/delivery-status";
  const encoding = /[^\x00-\x7f]/.test(block) ? "Content-Transfer-Encoding: 8bit\r\n" : "";
  return latin1(`Content-Type: ${type}\r\n${encoding}\r\n${block}`);
}

/** RFC 3464 §2.3. */
function recipientFields(kind: DsnKind, report: DsnRecipient, utf8: boolean): string[] {
  const { recipient, text, remoteMta } = report;
  const diagnosticType = remoteMta !== "" && isReply(text) ? "smtp" : "X-Postroom";
  const fields: [name: string, value: string | undefined][] = [
    ["Original-Recipient", isTyped(recipient.orcpt) ? typedAddress(recipient.orcpt, utf8) : undefined],
    ["Final-Recipient", finalRecipient(recipient.address, utf8)],
    ["Action", kind],
    ["Status", statusOf(kind, report.status)],
    ["Remote-MTA", remoteMta === "" ? undefined : `dns; ${mtaName(remoteMta)}`],
    ["Diagnostic-Code", text === "" ? undefined : `${diagnosticType}; ${text.slice(0, 2000)}`],
    ["Last-Attempt-Date", report.lastAttemptAt === undefined ? undefined : formatDate(report.lastAttemptAt)],
    [
      "Will-Retry-Until",
      kind === "delayed" && report.willRetryUntil ? formatDate(report.willRetryUntil) : undefined,
    ],
  ];
  return fields.flatMap(([name, value]) => (value ? [statusField(name, value, utf8)] : []));
}

/** One field, or "" without a value; without RFC 6533 in ASCII only. */
function statusField(name: string, value: string, utf8: boolean): string {
  const clean = value.replace(/[\x00-\x1f\x7f-\x9f]+/g, " ");
  if (clean.trim() === "") return "";
  return makeField(name, utf8 ? toOctets(clean) : clean.replace(/[^\x20-\x7e]/g, "?")).raw;
}

function finalRecipient(address: Address, utf8: boolean): string {
  const text = formatAddress(address);
  return isUtf8Address(address) ? typedAddress(`utf-8;${text}`, utf8) : `rfc822;${text}`;
}

/** Where UTF-8 can't be written, RFC 6533 §3 writes a character as \x{HEX}. */
function typedAddress(typed: string, utf8: boolean): string {
  if (utf8) return typed;
  return typed.replace(
    /[^\x00-\x7f]/gu,
    (character) => `\\x{${character.codePointAt(0)?.toString(16).toUpperCase()}}`,
  );
}

/** RFC 3461 §4.2: an address type, ";" and the address. */
function isTyped(orcpt: string | undefined): orcpt is string {
  return orcpt !== undefined && /^[A-Za-z0-9-]{1,40};[^\s]/.test(orcpt);
}

function statusOf(kind: DsnKind, status: string): string {
  // RFC 3464 §2.3.4 knows the classes 2, 4 and 5.
  if (/^[245]\.\d{1,3}\.\d{1,3}$/.test(status)) return status;
  if (kind === "failed") return "5.0.0";
  return kind === "delayed" ? "4.0.0" : "2.0.0";
}

/** RFC 3461 §6.2: the whole message only for failures, and only where the sender asked for it or did not choose. */
function originalPart({ kind, original, maxOriginalSize }: DsnInput): Buffer {
  const { envelope, body } = original;
  const header = latin1(formatHeader(original.header));
  const whole = kind === "failed" && envelope.ret !== "HDRS" && body !== undefined;
  const fits = whole && header.length + 2 + body.length <= maxOriginalSize && !hasBinary(body);
  const content = fits ? Buffer.concat([header, latin1("\r\n"), body]) : header;
  const utf8 = envelope.smtpUtf8 && has8Bit(header);
  const type = fits
    ? utf8
      ? "message/global"
      : "message/rfc822"
    : utf8
      ? "message/global-headers"
      : "text/rfc822-headers";
  const charset = type === "text/rfc822-headers" && has8Bit(header) ? "; charset=utf-8" : "";
  const encoding = has8Bit(content) ? "Content-Transfer-Encoding: 8bit\r\n" : "";
  return Buffer.concat([latin1(`Content-Type: ${type}${charset}\r\n${encoding}\r\n`), content]);
}

function latin1(octets: string): Buffer {
  return Buffer.from(octets, "latin1");
}
