/** The words of a DSN: subject and plain English for people, before the fields for programs (RFC 3464). Pure. */
import { formatAddress } from "./address.ts";
import type { DsnInput, DsnKind, DsnRecipient } from "./dsn-input.ts";
import { formatDate } from "./received.ts";

/** As Exchange begins its subjects. */
export function dsnSubject(kind: DsnKind, original: string): string {
  const words = [...original].slice(0, 200).join("");
  return words === "" ? SUBJECTS[kind] : `${SUBJECTS[kind]}: ${words}`;
}

/** Lines for the reader, with CRLF. */
export function dsnText(input: DsnInput): string {
  const lines = [
    `This is the mail system at ${input.hostname}.`,
    "",
    ...INTRODUCTIONS[input.kind],
    "",
    ...input.recipients.flatMap((recipient) => [...recipientLines(input.kind, recipient), ""]),
    ...closing(input),
  ];
  return `${lines.join("\r\n")}\r\n`;
}

/** What an enhanced status means to a person; undefined when its reply says more. */
export function statusMeaning(status: string): string | undefined {
  const [, subject = "", detail = ""] = /^\d\.(\d+)\.(\d+)$/.exec(status) ?? [];
  return MEANINGS.get(`${subject}.${detail}`) ?? SUBJECT_MEANINGS.get(subject);
}

/** True when an SMTP server said it; otherwise the words are our own. */
export function isReply(text: string): boolean {
  return /^[2-5]\d\d[ -]/.test(text);
}

/** RFC 3464 §2.2.2: a host known by its address only is a domain literal. */
export function mtaName(host: string): string {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(host)) return `[${host}]`;
  return host.includes(":") ? `[IPv6:${host}]` : host;
}

function recipientLines(kind: DsnKind, recipient: DsnRecipient): string[] {
  const address = formatAddress(recipient.recipient.address);
  const original = formatAddress(recipient.recipient.original);
  const { status, remoteMta } = recipient;
  const meaning = meaningFor(kind, status);
  const said = oneLine(recipient.text);
  const who = remoteMta === "" ? "" : `${oneLine(mtaName(remoteMta))}${isReply(said) ? " answered" : ""}: `;
  return [
    address === original ? `  ${address}` : `  ${address} (written to as ${original})`,
    ...(meaning === undefined ? [] : [`    ${meaning}`]),
    ...(said === "" ? [] : [`    ${who}${said}`]),
    ...(kind === "failed" && /^4\.(?!4\.7$)/.test(status)
      ? ["    It was tried until the message expired."]
      : []),
    ...(kind === "delayed" && recipient.willRetryUntil !== undefined
      ? [`    It is tried again until ${formatDate(recipient.willRetryUntil)}.`]
      : []),
  ];
}

function meaningFor(kind: DsnKind, status: string): string | undefined {
  if (kind === "failed") return statusMeaning(status);
  // Of a message that is still tried, "not in time" is not true yet.
  return kind === "delayed" && status !== "4.4.7" ? statusMeaning(status) : undefined;
}

function closing({ kind }: DsnInput): string[] {
  if (kind === "failed")
    return ["Please correct the cause and send the message again, or ask your postmaster."];
  if (kind === "delayed") return ["This is a warning only. You do not need to send the message again."];
  return [];
}

// What another host said is shown on one line, without control characters, and not endlessly.
function oneLine(text: string): string {
  return [...text.replace(/[\x00-\x1f\x7f-\x9f]+/g, " ")].slice(0, 500).join("").trim();
}

const SUBJECTS: Readonly<Record<DsnKind, string>> = {
  failed: "Undeliverable",
  delayed: "Delivery delayed",
  delivered: "Delivered",
  relayed: "Relayed",
  expanded: "Expanded",
};

const INTRODUCTIONS: Readonly<Record<DsnKind, readonly string[]>> = {
  failed: ["Your message could not be delivered to:"],
  delayed: ["Your message has not been delivered yet to:"],
  delivered: ["Your message was delivered to:"],
  relayed: [
    "Your message was handed on to a mail system that does not confirm delivery.",
    "You may get no further notice about:",
  ],
  expanded: ["Your message was delivered to a group and sent on to its members:"],
};

/** RFC 3463 and the IANA registry of enhanced status codes: subject.detail. */
const MEANINGS: ReadonlyMap<string, string> = new Map([
  ["1.1", "There is no such address at the destination."],
  ["1.2", "The destination domain does not exist."],
  ["1.3", "The address is not written correctly."],
  ["1.6", "The recipient has moved and left no new address."],
  ["1.7", "The sender's address is not written correctly."],
  ["1.8", "The sender's domain does not exist or takes no mail."],
  ["1.10", "The destination domain takes no mail."],
  ["2.1", "The mailbox is disabled and takes no messages."],
  ["2.2", "The mailbox is full."],
  ["2.3", "The message is larger than the mailbox allows."],
  ["2.4", "A problem with the members of a group was found."],
  ["3.4", "The message is larger than a mail system on its way allows."],
  ["4.1", "The destination did not answer."],
  ["4.2", "The connection to the destination broke."],
  ["4.3", "A directory needed to deliver the message did not answer."],
  ["4.4", "No way to the destination is known."],
  ["4.6", "The message ran in a circle."],
  ["4.7", "The message could not be delivered in time."],
  ["4.14", "The message ran in a circle."],
  ["5.3", "The message has too many recipients."],
  ["6.1", "The destination does not take this kind of content."],
  ["6.3", "The message had to be converted for the destination, and cannot be."],
  ["6.7", "The address holds characters that the destination does not take."],
  ["7.1", "The message was refused by a rule or policy."],
  ["7.4", "The security that the message asks for is not available at the destination."],
  ["7.8", "A mail system on the way refused our sign-in."],
  ["7.10", "The destination does not offer the encryption that is required."],
  ["7.30", "The destination does not support REQUIRETLS, which the message asks for."],
]);

const SUBJECT_MEANINGS: ReadonlyMap<string, string> = new Map([
  ["1", "There is a problem with the address."],
  ["2", "There is a problem with the mailbox."],
  ["3", "There is a problem with the destination's mail system."],
  ["4", "There is a problem with the network or the way to the destination."],
  ["6", "The content of the message could not be taken."],
  ["7", "The message was refused for reasons of security or policy."],
]);
