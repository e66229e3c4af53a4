/** Reply: what an SMTP server answers (RFC 5321 §4.2), with the enhanced status of RFC 3463. Pure. */

export interface Reply {
  /** Three digits; 2yz, 3yz, 4yz or 5yz. */
  readonly code: number;
  /** Enhanced status such as "5.7.1"; undefined where RFC 2034 §4 allows none (greeting, EHLO, 354). */
  readonly status: string | undefined;
  /** One line, or several for a multi-line reply. Generic: causes belong to the log. */
  readonly text: string | readonly string[];
}

/** Builds a reply; `status` undefined where none may be sent. */
export function reply(code: number, status: string | undefined, text: string | readonly string[]): Reply {
  return { code, status, text };
}

/** True for 4yz and 5yz. */
export function isRefusal(answer: Reply): boolean {
  return answer.code >= 400;
}

/** One line for logs and DSNs: `550 5.1.1 Recipient unknown`. */
export function formatReply({ code, status, text }: Reply): string {
  const line = typeof text === "string" ? text : text.join(" ");
  return status === undefined ? `${code} ${line}` : `${code} ${status} ${line}`;
}
