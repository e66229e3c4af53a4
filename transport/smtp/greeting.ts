/**
 * Greeting: the banner, when the client has waited for it (RFC 5321 §4.3.1) and the handler agrees.
 *
 * @module
 */
import { type Reply, reply } from "../../mail/reply.ts";
import { ask, type Dialogue, type Outcome, refusalOf } from "./dialogue.ts";

/** What the greeting needs of its session. */
export interface GreetingSession {
  readonly dialogue: Dialogue;
  readonly isClosing: boolean;
  /** Waits; returns early when the socket is gone. */
  sleep(ms: number): Promise<void>;
  /** The client is waiting for us. */
  work(octets: number): void;
  /** The client spoke before the greeting: refuses it. */
  tooSoon(): void;
  /** Sends the banner, or the refusal. */
  greeted(answer: Reply, isRefused: boolean): void;
  broken(error: unknown): void;
}

/** `hasSpoken`: octets came behind the PROXY header. */
export function greet(session: GreetingSession, hasSpoken: boolean): void {
  // Whatever lay in the socket before is read by then: one turn ends the poll at hand, the next one reads.
  setImmediate(() => setImmediate(begin, session, hasSpoken));
}

function begin(session: GreetingSession, hasSpoken: boolean): void {
  const { greetingDelayMs } = session.dialogue.connector;
  try {
    if (hasSpoken) session.tooSoon();
    else if (greetingDelayMs > 0)
      session
        .sleep(greetingDelayMs)
        .then(() => open(session))
        .catch((error: unknown) => session.broken(error));
    else open(session);
  } catch (error) {
    session.broken(error);
  }
}

function open(session: GreetingSession): void {
  const { dialogue } = session;
  if (session.isClosing) return;
  session.work(0);
  const answer = ask(dialogue, "CONNECT", () => dialogue.services.handler.onConnect());
  if (answer === undefined) say(session, undefined);
  else sayLater(session, answer).catch((error: unknown) => session.broken(error));
}

async function sayLater(
  session: GreetingSession,
  answer: Outcome | Promise<Outcome | undefined>,
): Promise<void> {
  const decided = await answer;
  await session.sleep(decided?.delayMs ?? 0);
  say(session, decided);
}

function say(session: GreetingSession, answer: Outcome | undefined): void {
  const { fqdn, banner } = session.dialogue.connector;
  if (session.isClosing) return;
  const refusal = refusalOf(answer);
  if (refusal !== undefined) session.greeted(refusal.reply, true);
  else session.greeted(reply(220, undefined, `${fqdn} ESMTP ${banner ?? "Postroom"}`), false);
}
