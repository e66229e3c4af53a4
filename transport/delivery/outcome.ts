/**
 * Outcome: what a remote's answer means for a recipient (RFC 5321 §4.2.1, RFC 3463). Pure.
 *
 * In: the answers of one transaction, one a recipient. Out: RecipientOutcomes, and what to do next.
 *
 * @module
 */
import type { Recipient } from "../../mail/message.ts";
import type { RecipientOutcome } from "./mod.ts";

/** A reply as it came, on one line, cut to a bearable length. */
export interface RemoteReply {
  readonly code: number;
  readonly status: string;
  readonly text: string;
}

export type Phase = "connect" | "greeting" | "ehlo" | "tls" | "auth" | "mail" | "rcpt" | "data" | "final";

/** The connection ended, was garbled or timed out while something was waited for. */
export interface Loss {
  readonly lost: true;
  readonly reason: string;
}

export interface Answer {
  readonly phase: Phase;
  readonly answer: RemoteReply | Loss;
}

/** done: accepted by the remote. again: send it once more at once. elsewhere: another host may take it. */
export type Verdict = "done" | "failed" | "again" | "elsewhere" | "deferred";

export interface RemoteTraits {
  readonly remoteMta: string;
  readonly lmtp: boolean;
  readonly dsn: boolean;
}

const MAX_TEXT = 500;

export function isLoss(answer: RemoteReply | Loss): answer is Loss {
  return "lost" in answer;
}

/** One line of visible ASCII, as nearly every reply is: code, its class, status. */
const PLAIN_REPLY = /^(([2-5])\d\d) (?:((?!3)\2\.\d{1,3}\.\d{1,3})(?![\d.]))?(?=[\x20-\x7e]*$)/;

/** Parses a complete reply, lines joined by LF; undefined: garbage. */
export function parseRemoteReply(raw: string): RemoteReply | undefined {
  const plain = raw.length > MAX_TEXT ? null : PLAIN_REPLY.exec(raw);
  if (plain !== null) {
    const code = Number(plain[1]);
    return { code, status: plain[3] ?? deriveStatus(code), text: raw.trim() };
  }
  const first = /^([2-5]\d\d)(?:[ -]|$)/.exec(raw);
  if (first === null) return undefined;
  const code = Number(first[1]);
  const lines = raw.slice(0, 4 * MAX_TEXT).split("\n");
  const status = /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})(?![\d.])/.exec(raw)?.[1];
  // RFC 2034 §4: the class of the status and of the code agree; one that lies is not believed.
  const believed = status?.[0] === first[1]?.[0] ? status : undefined;
  return { code, status: believed ?? deriveStatus(code), text: clean(joinLines(lines)) };
}

/** A status for a reply that carries none: what RFC 5321 §4.2.3 says of the code, not more. */
export function deriveStatus(code: number): string {
  return DERIVED[code] ?? `${Math.floor(code / 100)}.0.0`;
}

const DERIVED: Readonly<Record<number, string>> = {
  421: "4.3.2",
  432: "4.7.12",
  452: "4.3.1",
  454: "4.7.0",
  500: "5.5.2",
  501: "5.5.4",
  502: "5.5.1",
  503: "5.5.1",
  504: "5.5.4",
  521: "5.3.2",
  530: "5.7.0",
  534: "5.7.9",
  535: "5.7.8",
  538: "5.7.11",
  551: "5.1.6",
  552: "5.3.4",
  553: "5.1.3",
  555: "5.5.4",
  556: "5.1.10",
};

/** What becomes of a recipient after this answer. `accepted`: recipients the same envelope took. */
export function verdictOf({ phase, answer }: Answer, accepted: number): Verdict {
  // RFC 5321 §4.2.5: after the content was sent, only the same host can know what became of it.
  if (isLoss(answer)) return phase === "final" ? "deferred" : "elsewhere";
  if (isTaken({ phase, answer })) return "done";
  if (answer.code < 400) return phase === "final" ? "deferred" : "elsewhere";
  if (phase === "rcpt" && accepted > 0 && isTooManyRecipients(answer)) return "again";
  if (answer.code >= 500) return "failed";
  return "elsewhere";
}

/** The remote has the message: only 2yz to its end says so. */
function isTaken({ phase, answer }: Answer): boolean {
  return phase === "final" && !isLoss(answer) && answer.code < 300;
}

/** RFC 5321 §4.5.3.1.10: 452 (or, from old servers, 552) after so many recipients; send the rest anew. */
export function isTooManyRecipients({ code, status, text }: RemoteReply): boolean {
  if (code !== 452 && code !== 552) return false;
  return /^[45]\.5\.3$/.test(status) || /too many recipients/i.test(text);
}

/** The answer as an outcome. A code of 5yz fails, everything else that is no success is deferred. */
export function outcomeOf(
  recipient: Recipient,
  { phase, answer }: Answer,
  traits: RemoteTraits,
): RecipientOutcome {
  const { remoteMta } = traits;
  if (isLoss(answer)) {
    return { recipient, result: "deferred", status: LOST_STATUS[phase], text: answer.reason, remoteMta };
  }
  const { code, status, text } = answer;
  if (isTaken({ phase, answer })) return { recipient, result: successOf(traits), status, text, remoteMta };
  // RFC 5321 §4.3.2: neither success nor failure where it stands. Who does not refuse has not taken the message.
  if (code < 400) return { recipient, result: "deferred", status: "4.5.0", text, remoteMta };
  if (isTooManyRecipients(answer)) {
    return { recipient, result: "deferred", status: "4.5.3", text, remoteMta };
  }
  return { recipient, result: code >= 500 ? "failed" : "deferred", status, text, remoteMta };
}

/** RFC 3463 §3.5: 4.4.1 no answer, 4.4.2 bad connection; TLS is 4.7.5, credentials 4.7.8. */
const LOST_STATUS: Readonly<Record<Phase, string>> = {
  connect: "4.4.1",
  greeting: "4.4.1",
  ehlo: "4.4.2",
  tls: "4.7.5",
  auth: "4.7.8",
  mail: "4.4.2",
  rcpt: "4.4.2",
  data: "4.4.2",
  final: "4.4.2",
};

/** A host that could not be used at all, as an answer to put before a recipient. */
export function lostStatus(phase: Phase): string {
  return LOST_STATUS[phase];
}

function successOf({ lmtp, dsn }: RemoteTraits): RecipientOutcome["result"] {
  if (lmtp) return "delivered";
  return dsn ? "relayed" : "relayed-no-dsn";
}

/** "550-5.1.1 no\n550 5.1.1 such user" -> "550 5.1.1 no such user". */
function joinLines(lines: readonly string[]): string {
  const [first = "", ...rest] = lines;
  const more = rest.map((line) => line.replace(/^\d{3}[ -](?:[245]\.\d{1,3}\.\d{1,3}[ ]?)?/, ""));
  return [first.replace(/^(\d{3})-/, "$1 "), ...more].join(" ");
}

/** Remote text goes into DSNs and logs: one line, no controls, bounded. */
export function clean(text: string): string {
  const line = text.replace(/[\x00-\x1f\x7f-\x9f]+/g, " ").trim();
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}…` : line;
}
