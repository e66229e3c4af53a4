/** What becomes of the answer of a verb before it is sent: the count of errors, and the tarpit. */
import type { Dialogue, Outcome } from "./dialogue.ts";
import { TOO_MANY_ERRORS } from "./replies.ts";

/** Replies to what no mail client says: they count towards maxProtocolErrors. */
const PROTOCOL_ERRORS: ReadonlySet<number> = new Set([500, 501, 502, 503, 504, 555]);

/** Counts a protocol error; the one beyond maxProtocolErrors is answered 421 instead. */
export function countError(dialogue: Dialogue, outcome: Outcome): Outcome {
  if (outcome.isTheirs || !PROTOCOL_ERRORS.has(outcome.reply.code)) return outcome;
  dialogue.errors++;
  return dialogue.errors <= dialogue.connector.maxProtocolErrors ? outcome : { reply: TOO_MANY_ERRORS };
}

/** How long the reply waits. Tarpit: 5yz costs strangers time, so that guessing addresses does not pay. */
export function replyDelayMs({ connector, session }: Dialogue, outcome: Outcome): number {
  const { reply, delayMs = 0, disconnect } = outcome;
  const isTarpit = reply.code >= 500 && !session.internal && disconnect !== true;
  return isTarpit ? Math.max(delayMs, connector.tarpitIntervalMs) : delayMs;
}
