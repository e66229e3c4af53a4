/** What a DSN is made of: the fate of some recipients of one message, and that message. */
import type { Address } from "./address.ts";
import type { HeaderField } from "./header.ts";
import type { Envelope, Recipient } from "./message.ts";

export type DsnKind = "failed" | "delayed" | "delivered" | "relayed" | "expanded";

/** What happened to one recipient; an outcome of delivery has this shape. */
export interface DsnRecipient {
  readonly recipient: Recipient;
  /** RFC 3463, e.g. "5.1.1". */
  readonly status: string;
  /** The remote's reply line, or our own reason. */
  readonly text: string;
  /** Host that answered; "" when none did. */
  readonly remoteMta: string;
  readonly lastAttemptAt?: number | undefined;
  /** For delayed ones. */
  readonly willRetryUntil?: number | undefined;
}

export interface DsnInput {
  readonly kind: DsnKind;
  /** Our name: Reporting-MTA and postmaster's domain. */
  readonly hostname: string;
  /** Makes Message-ID and boundary; unique. */
  readonly id: string;
  readonly now: number;
  /** The sender of the message. */
  readonly to: Address;
  readonly recipients: readonly DsnRecipient[];
  readonly original: {
    readonly envelope: Pick<Envelope, "smtpUtf8" | "ret" | "envid">;
    readonly receivedAt: number;
    readonly header: readonly HeaderField[];
    /** undefined: only the header is returned. */
    readonly body: Uint8Array | undefined;
  };
  /** Larger originals are returned as header only. */
  readonly maxOriginalSize: number;
}
