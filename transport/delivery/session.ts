/**
 * Session use: sends a job's pending recipients over one open connection, in batches, and settles what can be settled.
 *
 * Out: "used" (the host spoke), "stale" (a kept connection had died; nothing was sent) or "lost".
 *
 * @module
 */
import type { Recipient } from "../../mail/message.ts";
import { isLoss, type RemoteTraits, verdictOf } from "./outcome.ts";
import type { PooledConnection } from "./pool.ts";
import { type PrepareJob, prepare, utf8Refusal } from "./prepare.ts";
import type { Tally } from "./recipients.ts";
import type { SmtpClient } from "./smtp-client.ts";
import { type TransactionAnswers, transact } from "./transaction.ts";

/** RFC 5321 §4.5.3.1.8: every server takes a hundred. */
const BATCH = 100;

export type SessionUse = "used" | "stale" | "lost";

/** Sends to all pending recipients that this host will take. */
export async function useSession(
  { client }: PooledConnection,
  job: Omit<PrepareJob, "recipients">,
  tally: Tally,
): Promise<SessionUse> {
  let mayBeStale = client.messages > 0;
  let queue = tally.pending;
  let most = mostRecipients(client);
  while (queue.length > 0) {
    const recipients = queue.slice(0, most);
    queue = queue.slice(most);
    const result = await sendBatch(client, { ...job, recipients }, tally);
    if (result === "refused") return "used";
    if (result === undefined) continue;
    if (mayBeStale && diedBefore(result)) return "stale";
    mayBeStale = false;
    const again = settle(result, tally, remoteTraits(client));
    queue = [...queue, ...again];
    // What it took once it takes again; asking for more would be refused each time.
    if (again.length > 0) most = Math.min(most, result.accepted);
    if (!(await standsAfter(client, result))) return isGone(result) ? "lost" : "used";
  }
  return "used";
}

/** RFC 9422 §4.2: a host may say how many it takes. */
function mostRecipients({ extensions }: SmtpClient): number {
  const limits = extensions.get("LIMITS");
  if (limits === undefined) return BATCH;
  const said = Number(/(?:^| )RCPTMAX (\d{1,9})(?: |$)/.exec(limits)?.[1] ?? BATCH);
  return Math.min(Math.max(said, 1), BATCH);
}

interface BatchResult extends TransactionAnswers {
  readonly recipients: readonly Recipient[];
}

/** undefined: nobody of the batch could be told to this host. */
async function sendBatch(
  client: SmtpClient,
  job: PrepareJob,
  tally: Tally,
): Promise<BatchResult | "refused" | undefined> {
  const { lmtp, host } = client.options;
  const traits = { extensions: client.extensions, lmtp, secure: client.tls !== undefined };
  const preparing = prepare(job, traits);
  const prepared = preparing instanceof Promise ? await preparing : preparing;
  if (prepared.kind === "refused") {
    tally.putAll(
      { result: "failed", ...pick(prepared), remoteMta: host },
      { provisional: prepared.elsewhere },
    );
    return "refused";
  }
  for (const recipient of prepared.refused) {
    tally.put({ recipient, result: "failed", ...pick(utf8Refusal), remoteMta: host }, true);
  }
  if (prepared.recipients.length === 0) return undefined;
  client.messages += 1;
  return { ...(await transact(client, prepared.transaction)), recipients: prepared.recipients };
}

function remoteTraits({ options, extensions }: SmtpClient): RemoteTraits {
  return { remoteMta: options.host, lmtp: options.lmtp, dsn: extensions.has("DSN") };
}

/** Whether the connection can take another envelope. RSET after any failed one: the old must not linger. */
function standsAfter(client: SmtpClient, result: BatchResult): boolean | Promise<boolean> {
  if (client.lost !== undefined || isGone(result)) return false;
  return result.clean || resets(client);
}

async function resets(client: SmtpClient): Promise<boolean> {
  if (await client.reset()) return true;
  client.close();
  return false;
}

function pick({ status, text }: { status: string; text: string }) {
  return { status, text };
}

/** Records the answers; gives back those to send again at once. */
function settle(
  { recipients, answers, accepted }: BatchResult,
  tally: Tally,
  remote: RemoteTraits,
): Recipient[] {
  const again: Recipient[] = [];
  for (const [index, recipient] of recipients.entries()) {
    const answer = answers[index];
    if (answer === undefined) continue;
    const verdict = verdictOf(answer, accepted);
    if (verdict === "again") again.push(recipient);
    tally.answer(recipient, answer, verdict, remote);
  }
  return again;
}

/** A kept connection that the remote had closed meanwhile: MAIL got no answer, or 421. */
function diedBefore({ answers }: TransactionAnswers): boolean {
  return answers.every(({ phase, answer }) => phase === "mail" && (isLoss(answer) || answer.code === 421));
}

/** RFC 5321 §3.8: lost, or told 421. */
function isGone({ answers }: TransactionAnswers): boolean {
  return answers.some(({ answer }) => isLoss(answer) || answer.code === 421);
}
