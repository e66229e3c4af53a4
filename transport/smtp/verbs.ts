/** The verbs of the dialogue, by name (RFC 5321 §4.1.1), and what must be so before any of them. */
import { whenDone } from "../../lib/when-done.ts";
import { reply } from "../../mail/reply.ts";
import { auth } from "./auth-verb.ts";
import { type Command, parseHelo } from "./command.ts";
import { bdat, data } from "./content.ts";
import {
  ask,
  currentOffer,
  type Dialogue,
  dropTransaction,
  type Outcome,
  refusalOf,
  type Step,
} from "./dialogue.ts";
import { extensionLines, wantsStartTls } from "./ehlo.ts";
import { mail, rcpt } from "./envelope.ts";
import {
  BAD_ARGUMENTS,
  BAD_GREETING,
  BAD_SEQUENCE,
  CANNOT_VERIFY,
  EHLO_FIRST,
  HELP,
  NO_TLS_NOW,
  NOT_A_COMMAND,
  NOT_IMPLEMENTED,
  NOT_SMTP,
  OK,
  QUIT,
  READY_FOR_TLS,
  RESET,
  TLS_FIRST,
  UNKNOWN_COMMAND,
} from "./replies.ts";

/** undefined: the reply comes later (BDAT). */
type Verb = (dialogue: Dialogue, args: string) => Step | Promise<Outcome | undefined> | undefined;

const VERBS: ReadonlyMap<string, Verb> = new Map<string, Verb>([
  ["EHLO", (dialogue, args) => greet(dialogue, args, true)],
  ["HELO", (dialogue, args) => greet(dialogue, args, false)],
  ["MAIL", mail],
  ["RCPT", rcpt],
  ["DATA", data],
  ["BDAT", bdat],
  ["RSET", rset],
  ["NOOP", () => ({ reply: OK })],
  ["VRFY", (_, args) => ({ reply: args === "" ? BAD_ARGUMENTS : CANNOT_VERIFY })],
  ["EXPN", () => ({ reply: NOT_IMPLEMENTED })],
  ["HELP", () => ({ reply: HELP })],
  ["QUIT", (_, args) => (args === "" ? { reply: QUIT, leaves: true } : { reply: BAD_ARGUMENTS })],
  ["STARTTLS", startTls],
  ["AUTH", auth],
]);

// RFC 3207 §4: what a client may say before STARTTLS to a server that requires it.
const BEFORE_TLS: ReadonlySet<string> = new Set(["EHLO", "HELO", "NOOP", "STARTTLS", "QUIT"]);
// Web pages and TLS clients that were sent to the wrong port; no request of theirs may come to be a command.
const NOT_MAIL = /^(?:GET|POST|HEAD|PUT|DELETE|OPTIONS|TRACE|CONNECT|PATCH)$|^\x16\x03/;

export function runCommand(dialogue: Dialogue, { verb, args }: Command): ReturnType<Verb> {
  const { connector, session } = dialogue;
  if (NOT_MAIL.test(verb)) return { reply: NOT_SMTP, disconnect: true };
  if (verb === "") return { reply: NOT_A_COMMAND };
  const run = VERBS.get(verb);
  const needsTls = connector.tls.mode === "Required" && session.tls === undefined;
  // The octets of BDAT follow in any case: bdat() sees to them.
  if (needsTls && !BEFORE_TLS.has(verb) && verb !== "BDAT") return { reply: TLS_FIRST };
  return run === undefined ? { reply: UNKNOWN_COMMAND } : run(dialogue, args);
}

/** The verb for logs and metrics: never a word the client made up. */
export function knownVerb(verb: string): string {
  return VERBS.has(verb) ? verb : "UNKNOWN";
}

function greet(dialogue: Dialogue, args: string, extended: boolean): Step {
  const { services, session } = dialogue;
  const name = parseHelo(args);
  if (name === undefined) return { reply: BAD_GREETING };
  dropTransaction(dialogue); // RFC 5321 §4.1.4: EHLO acts as RSET
  session.helo = name;
  session.extended = extended;
  return whenDone(
    ask(dialogue, "EHLO", () => services.handler.onEhlo(name)),
    (answer) => greeted(dialogue, answer),
  );
}

function greeted(dialogue: Dialogue, answer: Outcome | undefined): Outcome {
  const { session, connector } = dialogue;
  const refusal = refusalOf(answer);
  if (refusal !== undefined) {
    session.helo = "";
    session.extended = false;
    return refusal;
  }
  const hello = `${connector.fqdn} Hello [${session.clientAddress}]`;
  const lines = session.extended ? [hello, ...extensionLines(currentOffer(dialogue), connector)] : hello;
  return { reply: reply(250, undefined, lines), delayMs: answer?.delayMs };
}

function rset(dialogue: Dialogue, args: string): Outcome {
  if (args !== "") return { reply: BAD_ARGUMENTS };
  dropTransaction(dialogue);
  return { reply: RESET };
}

function startTls(dialogue: Dialogue, args: string): Outcome {
  const { session, connector } = dialogue;
  if (args !== "") return { reply: BAD_ARGUMENTS };
  if (session.tls !== undefined) return { reply: BAD_SEQUENCE };
  if (!session.extended) return { reply: EHLO_FIRST };
  if (!wantsStartTls(connector)) return { reply: NOT_IMPLEMENTED };
  if (!currentOffer(dialogue).startTls) return { reply: NO_TLS_NOW };
  dropTransaction(dialogue);
  return { reply: READY_FOR_TLS, startTls: true };
}
