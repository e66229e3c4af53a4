/** Received: the trace line that every hop adds (RFC 5321 §4.4), the hop count, and the date form of RFC 5322. Pure. */
import type { Address } from "./address.ts";
import { formatAddress } from "./address.ts";
import { toOctets } from "./charset.ts";
import type { HeaderField } from "./header.ts";

export interface ReceivedInput {
  /** EHLO or HELO argument, as the client said it; "" when there was none. */
  readonly helo: string;
  /** Client's IP address; "" for messages made here. */
  readonly clientAddress: string;
  /** Our name. */
  readonly hostname: string;
  /** True after EHLO. */
  readonly extended: boolean;
  readonly authenticated: boolean;
  readonly smtpUtf8: boolean;
  readonly tls: { readonly protocol: string; readonly cipher: string } | undefined;
  readonly id: string;
  /** Shown only when it is the only one: a list would show who got a blind copy. */
  readonly recipients: readonly Address[];
  readonly receivedAt: number;
}

/** Builds the Received field; what the client said is reduced to characters that a domain or literal has. */
export function receivedField(input: ReceivedInput): HeaderField {
  const { hostname, id, tls, receivedAt } = input;
  const [recipient, ...others] = input.recipients;
  const cipher = tls === undefined ? "" : ` (${safe(tls.protocol)} ${safe(tls.cipher)})`;
  const single = recipient !== undefined && others.length === 0;
  const lines = [
    `Received: from ${safe(input.helo) || "unknown"} (${clientLiteral(input.clientAddress)})`,
    ` by ${safe(hostname)} (Postroom) with ${protocol(input)}${cipher} id ${safe(id)}`,
    ...(single ? [` for <${toOctets(formatAddress(recipient))}>`] : []),
  ];
  // RFC 5322 §2.1.1: lines should not pass 78 characters.
  const gap = single ? " " : "\r\n ";
  return { name: "Received", raw: `${lines.join("\r\n")};${gap}${formatDate(receivedAt)}\r\n` };
}

/** Received fields: a message with too many of them is in a loop (RFC 5321 §6.3). */
export function hopCount(header: readonly HeaderField[]): number {
  return header.filter(({ name }) => name.length === 8 && name.toLowerCase() === "received").length;
}

/** The date made last: what comes within a second bears the same one. */
let latest = { second: Number.NaN, text: "" };

/** RFC 5322 §3.3: "Sat, 21 Nov 2026 21:00:00 +0000". */
export function formatDate(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== latest.second) {
    latest = { second, text: new Date(ms).toUTCString().replace("GMT", "+0000") };
  }
  return latest.text;
}

/** RFC 3848 §2, RFC 6531 §3.7.3: SMTP, ESMTP, ESMTPSA, UTF8SMTPS ... */
function protocol({ extended, smtpUtf8, tls, authenticated }: ReceivedInput): string {
  if (!extended) return "SMTP";
  return `${smtpUtf8 ? "UTF8SMTP" : "ESMTP"}${tls === undefined ? "" : "S"}${authenticated ? "A" : ""}`;
}

function clientLiteral(address: string): string {
  if (address === "") return "local";
  return address.includes(":") ? `[IPv6:${safe(address)}]` : `[${safe(address)}]`;
}

function safe(text: string): string {
  return text.slice(0, 255).replace(/[^A-Za-z0-9.:_[\]-]/g, "?");
}
