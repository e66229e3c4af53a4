/** The messages that the senders of the scenarios send: text of a given size, told apart by Message-Id. */

/** Read by the sink: milliseconds since 1970 when the message was due to be sent. */
export const SENT_AT = "X-Sent-At";

export interface MessageText {
  readonly id: string;
  readonly sentAt: number;
  readonly from: string;
  readonly to: string;
}

export function envelopeOf({ from, to }: Pick<MessageText, "from" | "to">): string {
  return `MAIL FROM:<${from}>\r\nRCPT TO:<${to}>\r\nDATA\r\n`;
}

export function headerOf({ id, sentAt, from, to }: MessageText): string {
  return [
    `From: <${from}>`,
    `To: <${to}>`,
    `Message-Id: <${id}>`,
    `${SENT_AT}: ${sentAt.toFixed(3)}`,
    "Subject: How long it takes",
    "\r\n",
  ].join("\r\n");
}

/** The rest of a message of about `size` octets, and the end of its data. */
export function bodyOf(
  size: number,
  line = "Nothing but text that fills the lines of a message for its size",
): Buffer {
  const lines = Math.max(1, Math.ceil((size - 250) / (line.length + 2)));
  return Buffer.from(`${`${line}\r\n`.repeat(lines)}.\r\n`);
}
