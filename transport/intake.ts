/**
 * Intake: from the events of an SMTP session to a message on disk.
 *
 * For each connection smtp asks for a SessionHandler; it runs the agents, spools the content and submits.
 * The 250 to the end of data is given only after the queue says: durable.
 *
 * @module
 */
import type { Clock } from "../lib/clock.ts";
import type { Ids } from "../lib/ids.ts";
import type { Logger } from "../lib/log.ts";
import type { Metrics } from "../lib/metrics.ts";
import { formatAddress, formatPath } from "../mail/address.ts";
import type { Message, Recipient } from "../mail/message.ts";
import type { MimeSummary } from "../mail/mime.ts";
import { formatReply, type Reply, reply } from "../mail/reply.ts";
import type { Answer, Refused, SessionHandler, SmtpSession, SmtpTransaction } from "../mail/session.ts";
import type { AgentTransaction, Verdict } from "./agents/mod.ts";
import { type ContentEnd, createContentSink, DELIVER, type Fate } from "./content-sink.ts";
import type { Pipeline } from "./pipeline.ts";
import type { Queue, QueueItem } from "./queue/mod.ts";
import { submissionItem } from "./submission.ts";
import { ofMessage, type Tracking } from "./tracking.ts";

export interface IntakeDeps {
  pipeline(): Pipeline;
  readonly queue: Queue;
  readonly tracking: Tracking;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Hands a MIME summary made in the session to the categorizer, so that nothing is scanned twice. */
  remember(networkMessageId: string, summary: MimeSummary): void;
}

/** Makes the function that smtp calls for each connection. */
export function createIntake(deps: IntakeDeps): (session: SmtpSession) => SessionHandler {
  return (session) => openSession(session, deps);
}

function openSession(session: SmtpSession, deps: IntakeDeps): SessionHandler {
  let pipeline = deps.pipeline();
  let stamps: Record<string, string> = {};
  let fate: Fate = DELIVER;
  let networkMessageId = "";
  const asAgentSees = (transaction: SmtpTransaction): AgentTransaction => ({
    ...transaction,
    networkMessageId,
    stamps,
    stamp(name, value) {
      stamps[name] = value;
    },
  });
  const track = (refusal: Reply, { sender, recipients }: Refused, only = recipients) =>
    trackRefusal(refusal, { sender, recipients: only }, { session, networkMessageId, source: "AGENT" }, deps);
  /** drop and quarantine before the content: the client sees success, the content decides nothing any more. */
  const judged = (verdict: Verdict | Promise<Verdict>, transaction: SmtpTransaction, recipient?: Recipient) =>
    mapVerdict(verdict, (decided) => {
      if (decided !== undefined && "reply" in decided)
        track(decided.reply, transaction.envelope, recipient && [recipient]);
      if (decided?.action !== "drop" && decided?.action !== "quarantine") return toAnswer(decided);
      fate = { kind: decided.action, reason: decided.reason };
      return undefined;
    });
  return {
    onConnect: () => mapVerdict(pipeline.agents.onConnect(session), toAnswer),
    onEhlo: (name) => mapVerdict(pipeline.agents.onEhlo(session, name), toAnswer),
    onAuth: (user) => mapVerdict(pipeline.agents.onAuth(session, user), toAnswer),
    onMail(transaction) {
      pipeline = deps.pipeline();
      stamps = {};
      fate = DELIVER;
      networkMessageId = deps.ids.uuid();
      return judged(pipeline.agents.onMail(asAgentSees(transaction)), transaction);
    },
    onRcpt: (transaction, recipient) =>
      judged(pipeline.agents.onRcpt(asAgentSees(transaction), recipient), transaction, recipient),
    onData: (transaction) =>
      mapVerdict(judged(pipeline.agents.onData(asAgentSees(transaction)), transaction), (refused) => {
        if (refused !== undefined) return refused;
        const accept = (end: ContentEnd) => submit(end, asAgentSees(transaction), { deps, pipeline });
        return createContentSink(asAgentSees(transaction), {
          ...deps,
          pipeline,
          fate,
          accept,
          refused: (refusal) => track(refusal, transaction.envelope),
        });
      }),
    onReset: () => pipeline.agents.onReset(session),
    onReject(verb, refusal, about) {
      if (about !== undefined) {
        // A MAIL that is refused for its sender begins no transaction.
        if (verb === "MAIL") networkMessageId = deps.ids.uuid();
        trackRefusal(refusal, about, { session, networkMessageId, source: "SMTP" }, deps);
      }
      pipeline.agents.onReject(session, verb, refusal);
    },
    onDisconnect: () => pipeline.agents.onDisconnect(session),
  };
}

interface RefusedAt {
  readonly session: SmtpSession;
  readonly networkMessageId: string;
  readonly source: "SMTP" | "AGENT";
}

/** smtp or an agent refused: there is no message, but the id it would have had ties the events together. */
function trackRefusal(
  refusal: Reply,
  { sender, recipients }: Refused,
  { session, networkMessageId, source }: RefusedAt,
  { tracking }: IntakeDeps,
): void {
  tracking.track({
    event: refusal.code >= 500 ? "FAIL" : "DEFER",
    source,
    id: "",
    networkMessageId,
    messageId: "",
    sender: formatPath(sender),
    recipients: recipients.map(({ address }) => formatAddress(address)),
    connector: session.connector,
    client: session.clientAddress,
    text: formatReply(refusal),
  });
}

/** A verdict as smtp understands it. */
function toAnswer(verdict: Verdict): Answer {
  if (verdict === undefined || verdict.action === "tarpit") return undefined;
  if (verdict.action === "reject" || verdict.action === "defer") {
    return { reply: verdict.reply, disconnect: verdict.disconnect ?? false };
  }
  return { reply: reply(554, "5.7.1", "Session refused"), disconnect: true };
}

/** Applies `next` without a promise where nothing waited: most events have no agent. */
function mapVerdict<In, Out>(value: In | Promise<In>, next: (value: In) => Out): Out | Promise<Awaited<Out>> {
  return value instanceof Promise ? (value.then(next) as Promise<Awaited<Out>>) : next(value);
}

interface SubmitContext {
  readonly deps: IntakeDeps;
  readonly pipeline: Pipeline;
}

/** Puts the finished message into its queue and says 250, or 452 when the queue cannot. */
async function submit(
  end: ContentEnd,
  transaction: AgentTransaction,
  context: SubmitContext,
): Promise<Answer & object> {
  const { deps, pipeline } = context;
  const message = toMessage(end, transaction);
  const facts = { ...ofMessage(message), source: "SMTP" as const };
  const origin = {
    connector: message.origin.connector,
    client: message.origin.clientAddress,
    user: message.origin.user,
  };
  const queued = {
    reply: reply(
      250,
      "2.6.0",
      `${facts.messageId} [InternalId=${message.id}] Queued mail for delivery`.trimStart(),
    ),
  };
  if (end.fate.kind === "drop") {
    end.discard();
    deps.tracking.track({ ...facts, ...origin, event: "DROP", source: "AGENT", text: end.fate.reason });
    return queued;
  }
  const now = deps.clock.now();
  const fresh = submissionItem(message, now, now + pipeline.snapshot.transport.queue.messageExpirationMs);
  const item: QueueItem =
    end.fate.kind === "quarantine"
      ? { ...fresh, queue: "Quarantine", status: "Suspended", lastError: end.fate.reason }
      : fresh;
  if (end.summary !== undefined) deps.remember(message.networkMessageId, end.summary);
  try {
    await deps.queue.apply({ insert: [item] });
  } catch (cause) {
    deps.log.error({ ...facts, cause: String(cause) }, "message not queued");
    end.discard();
    return { reply: reply(452, "4.3.1", "Insufficient system storage, try again later") };
  }
  deps.metrics.messagesReceived.inc({ connector: message.origin.connector });
  const size = end.body.size;
  deps.tracking.track({
    ...facts,
    ...origin,
    event: "RECEIVE",
    size,
    queue: item.queue,
    reason: item.lastError,
  });
  return queued;
}

function toMessage(
  end: ContentEnd,
  { envelope, session, stamps, networkMessageId }: AgentTransaction,
): Message {
  return {
    id: end.id,
    networkMessageId,
    envelope,
    origin: {
      receivedAt: end.receivedAt,
      clientAddress: session.clientAddress,
      helo: session.helo,
      connector: session.connector,
      user: session.user,
      internal: session.internal,
      tls: session.tls,
    },
    header: end.header,
    body: end.body,
    priority: "Normal",
    stamps: { ...stamps },
  };
}
