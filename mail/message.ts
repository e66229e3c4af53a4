/**
 * The values that travel through the transport: envelope, origin, message.
 *
 * Everything here is plain data: rooms hand it to each other, the queue stores it.
 * The header block is kept apart from the body, so that stamping a header never rewrites a body.
 *
 * @module
 */
import type { Address } from "./address.ts";
import type { HeaderField } from "./header.ts";

/** RFC 3461 §4.1: when the sender wants to hear of a recipient. */
export type Notify = "NEVER" | "SUCCESS" | "FAILURE" | "DELAY";

export type Priority = "High" | "Normal" | "Low";

export interface Recipient {
  /** Where the message goes now (after aliases, groups, forwards, rules). */
  readonly address: Address;
  /** As given at RCPT TO, or the address that a rule or a group named. */
  readonly original: Address;
  /** RFC 3461 §4.1; undefined: not given, which means failure and delay are reported. */
  readonly notify?: readonly Notify[] | undefined;
  /** RFC 3461 §4.2, xtext decoded: "rfc822;ann@example.com". */
  readonly orcpt?: string | undefined;
  /** The mailbox's own copy of a forwarded message: its forward is not followed again when the message is resolved anew. */
  readonly forwarded?: true | undefined;
}

/** RFC 5321 §2.3.1 envelope with the parameters of its extensions. */
export interface Envelope {
  /** null is the null reverse-path `<>`. */
  readonly sender: Address | null;
  readonly recipients: readonly Recipient[];
  /** RFC 6152, RFC 3030. */
  readonly bodyType: "7BIT" | "8BITMIME" | "BINARYMIME";
  /** RFC 6531. */
  readonly smtpUtf8: boolean;
  /** RFC 8689. */
  readonly requireTls: boolean;
  /** RFC 3461 §4.3. */
  readonly ret?: "FULL" | "HDRS" | undefined;
  /** RFC 3461 §4.4, xtext decoded. */
  readonly envid?: string | undefined;
}

/** Where a message came from. Written once, at acceptance. */
export interface Origin {
  /** Milliseconds since 1970. */
  readonly receivedAt: number;
  /** "" for messages made here (DSNs, copies). */
  readonly clientAddress: string;
  readonly helo: string;
  /** namespace/name of the receive connector; "" for messages made here. */
  readonly connector: string;
  /** The user who authenticated. */
  readonly user?: string | undefined;
  /** True when permissions make this internal mail: authenticated, or from an externally secured peer. */
  readonly internal: boolean;
  readonly tls?: { readonly protocol: string; readonly cipher: string } | undefined;
}

/** The octets after the header block's blank line. Inline for small bodies, else a file of the queue. */
export type Body =
  | { readonly kind: "inline"; readonly bytes: Uint8Array; readonly size: number }
  | { readonly kind: "file"; readonly name: string; readonly size: number };

export interface Message {
  /** Internal message id: sorts by time of creation, unique per copy. */
  readonly id: string;
  /** The same for every copy made of one accepted message (Exchange's network message id). */
  readonly networkMessageId: string;
  readonly envelope: Envelope;
  readonly origin: Origin;
  readonly header: readonly HeaderField[];
  readonly body: Body;
  readonly priority: Priority;
  /** What agents stamped: "SCL" -> "5". Not part of the header. */
  readonly stamps: Readonly<Record<string, string>>;
}

/** Size in octets as sent on the wire, before dot-stuffing (RFC 1870 §3). */
export function messageSize(message: Pick<Message, "header" | "body">): number {
  let size = 2 + message.body.size;
  for (const field of message.header) size += field.raw.length;
  return size;
}
