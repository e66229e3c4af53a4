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
import { whenDone } from "../lib/when-done.ts";
import { formatAddress, formatPath } from "../mail/address.ts";
import type { Message, Recipient } from "../mail/message.ts";
import type { MimeSummary } from "../mail/mime.ts";
import { formatReply, type Reply, reply } from "../mail/reply.ts";
import type {
  Answer,
  MessageSink,
  Refused,
  SessionHandler,
  SmtpSession,
  SmtpTransaction,
} from "../mail/session.ts";
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
  return (session) => new SessionIntake(session, deps);
}

class SessionIntake implements SessionHandler {
  readonly #session: SmtpSession;
  readonly #deps: IntakeDeps;
  #pipeline: Pipeline;
  #fate: Fate = DELIVER;
  #networkMessageId = "";
  /** The transaction at hand as agents see it: one object from MAIL to its end. */
  #seen: AgentTransaction | undefined;

  constructor(session: SmtpSession, deps: IntakeDeps) {
    this.#session = session;
    this.#deps = deps;
    this.#pipeline = deps.pipeline();
  }

  onConnect() {
    return whenDone(this.#pipeline.agents.onConnect(this.#session), toAnswer);
  }

  onEhlo(name: string) {
    return whenDone(this.#pipeline.agents.onEhlo(this.#session, name), toAnswer);
  }

  onAuth(user: string) {
    return whenDone(this.#pipeline.agents.onAuth(this.#session, user), toAnswer);
  }

  onMail(transaction: SmtpTransaction) {
    this.#pipeline = this.#deps.pipeline();
    this.#fate = DELIVER;
    this.#networkMessageId = this.#deps.ids.uuid();
    this.#seen = asAgentSees(transaction, this.#networkMessageId);
    return this.#judged(this.#pipeline.agents.onMail(this.#seen), transaction);
  }

  onRcpt(transaction: SmtpTransaction, recipient: Recipient) {
    const verdict = this.#pipeline.agents.onRcpt(this.#asAgentSees(transaction), recipient);
    return this.#judged(verdict, transaction, recipient);
  }

  onData(transaction: SmtpTransaction) {
    const seen = this.#asAgentSees(transaction);
    const answer = this.#judged(this.#pipeline.agents.onData(seen), transaction);
    return whenDone<Answer, Answer | MessageSink>(answer, (refused) => refused ?? this.#openSink(seen));
  }

  onReset(): void {
    this.#pipeline.agents.onReset(this.#session);
  }

  onReject(verb: string, refusal: Reply, about?: Refused): void {
    if (about !== undefined) {
      // A MAIL that is refused for its sender begins no transaction.
      if (verb === "MAIL") this.#networkMessageId = this.#deps.ids.uuid();
      this.#track(refusal, about, "SMTP");
    }
    this.#pipeline.agents.onReject(this.#session, verb, refusal);
  }

  onDisconnect(): void {
    this.#pipeline.agents.onDisconnect(this.#session);
  }

  #openSink(seen: AgentTransaction): MessageSink {
    const [deps, pipeline] = [this.#deps, this.#pipeline];
    // Nothing but the sink asks for it from here on.
    this.#seen = undefined;
    return createContentSink(seen, {
      ...deps,
      pipeline,
      fate: this.#fate,
      accept: (end) => submit(end, seen, { deps, pipeline }),
      refused: (refusal) => this.#track(refusal, seen.envelope, "AGENT"),
    });
  }

  /** drop and quarantine before the content: the client sees success, the content decides nothing any more. */
  #judged(
    verdict: Verdict | Promise<Verdict>,
    { envelope }: SmtpTransaction,
    recipient?: Recipient,
  ): Answer | Promise<Answer> {
    return whenDone(verdict, (decided) => {
      if (decided === undefined) return undefined;
      if ("reply" in decided) {
        const { sender, recipients } = envelope;
        this.#track(decided.reply, { sender, recipients: recipient ? [recipient] : recipients }, "AGENT");
      }
      if (decided.action !== "drop" && decided.action !== "quarantine") return toAnswer(decided);
      this.#fate = { kind: decided.action, reason: decided.reason };
      return undefined;
    });
  }

  #track(refusal: Reply, about: Refused, source: RefusedAt["source"]): void {
    const at = { session: this.#session, networkMessageId: this.#networkMessageId, source };
    trackRefusal(refusal, about, at, this.#deps);
  }

  #asAgentSees(transaction: SmtpTransaction): AgentTransaction {
    this.#seen ??= asAgentSees(transaction, this.#networkMessageId);
    return this.#seen;
  }
}

function asAgentSees(
  { session, envelope, declaredSize }: SmtpTransaction,
  networkMessageId: string,
): AgentTransaction {
  const stamps: Record<string, string> = {};
  return {
    session,
    envelope,
    declaredSize,
    networkMessageId,
    stamps,
    stamp(name, value) {
      stamps[name] = value;
    },
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
    of: {
      id: "",
      networkMessageId,
      messageId: "",
      sender: formatPath(sender),
      recipients: recipients.map(({ address }) => formatAddress(address)),
    },
    step: {
      event: refusal.code >= 500 ? "FAIL" : "DEFER",
      source,
      connector: session.connector,
      client: session.clientAddress,
      text: formatReply(refusal),
    },
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
  const of = ofMessage(message);
  const { connector, clientAddress: client, user } = message.origin;
  const queued = {
    reply: reply(
      250,
      "2.6.0",
      `${of.messageId} [InternalId=${message.id}] Queued mail for delivery`.trimStart(),
    ),
  };
  if (end.fate.kind === "drop") {
    end.discard();
    const text = end.fate.reason;
    deps.tracking.track({ of, step: { source: "AGENT", connector, client, user, event: "DROP", text } });
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
    deps.log.error({ ...of, source: "SMTP", cause: String(cause) }, "message not queued");
    end.discard();
    return { reply: reply(452, "4.3.1", "Insufficient system storage, try again later") };
  }
  deps.metrics.messagesReceived.inc({ connector });
  const size = end.body.size;
  const { queue, lastError: reason } = item;
  deps.tracking.track({
    of,
    step: { source: "SMTP", connector, client, user, event: "RECEIVE", size, queue, reason },
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
