/**
 * ContentSink: takes the octets of one message, runs the content agents, leaves header and body ready to submit.
 *
 * In: chunks from smtp. Out: ContentEnd for intake, or the refusal. The body streams into the queue's writer;
 * nothing of it is held here. A refusal found early is kept until the end of data: SMTP has no other place for it.
 *
 * @module
 */
import type { Clock } from "../lib/clock.ts";
import type { Ids } from "../lib/ids.ts";
import type { Logger } from "../lib/log.ts";
import type { Metrics } from "../lib/metrics.ts";
import { stripAttachments } from "../mail/content.ts";
import { addFirst, type HeaderField, headerValues, makeField } from "../mail/header.ts";
import type { Body } from "../mail/message.ts";
import { type MimeSummary, scanMime, scanWholeMime } from "../mail/mime.ts";
import { formatDate, hopCount, receivedField } from "../mail/received.ts";
import { type Reply, reply } from "../mail/reply.ts";
import type { Answer, MessageSink } from "../mail/session.ts";
import type { ReceiveConnectorEntry, Snapshot } from "../snapshot/schema.ts";
import type { AgentContent, AgentTransaction, Verdict } from "./agents/mod.ts";
import { MAX_TEXT, readWhole, writeWhole } from "./content.ts";
import { ContentSeen, type SeenContent } from "./content-seen.ts";
import { createHeaderIntake, type HeaderEnd } from "./header-intake.ts";
import type { Pipeline } from "./pipeline.ts";
import type { BodyWriter, Queue } from "./queue/mod.ts";

/** What agents decided about a message that the client sees accepted. */
export type Fate = { readonly kind: "deliver" | "drop" | "quarantine"; readonly reason: string };
export const DELIVER: Fate = { kind: "deliver", reason: "" };

export interface ContentEnd {
  readonly id: string;
  readonly receivedAt: number;
  readonly header: readonly HeaderField[];
  readonly body: Body;
  readonly fate: Fate;
  readonly summary: MimeSummary | undefined;
  /** Forgets the body. */
  discard(): void;
}

export interface ContentSinkDeps {
  readonly pipeline: Pipeline;
  readonly queue: Queue;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly ids: Ids;
  readonly clock: Clock;
  readonly fate: Fate;
  /** Submits what is whole; its answer is the reply to the end of data. */
  accept(end: ContentEnd): Promise<Answer & object>;
  /** The content was refused; for the trace. */
  refused(refusal: Reply): void;
}

const FAULT = reply(451, "4.3.0", "Temporary fault, try again later");
const TOO_COMPLEX = reply(554, "5.6.0", "Message has too many or too deeply nested MIME parts");
const HEADER_TOO_LARGE = reply(552, "5.3.4", "Header size exceeds fixed maximum size");
const LOOP = reply(554, "5.4.6", "Hop count exceeded, possible mail loop");

/** Makes the sink of one transaction. */
export function createContentSink(transaction: AgentTransaction, deps: ContentSinkDeps): MessageSink {
  return new ContentSink(transaction, deps);
}

class ContentSink implements MessageSink, SeenContent {
  readonly #transaction: AgentTransaction;
  readonly #deps: ContentSinkDeps;
  readonly #intake;
  readonly #maxHops: number;
  readonly #id: string;
  readonly #receivedAt: number;
  #header: readonly HeaderField[] | undefined;
  #body: Body | undefined;
  #writer: BodyWriter | undefined;
  #refusal: Reply | undefined;
  #fate: Fate;
  #seen: AgentContent | undefined;
  #summary: MimeSummary | Promise<MimeSummary> | undefined;
  /** What the scan found, for the categorizer. */
  #scanned: MimeSummary | undefined;

  constructor(transaction: AgentTransaction, deps: ContentSinkDeps) {
    this.#transaction = transaction;
    this.#deps = deps;
    this.#fate = deps.fate;
    this.#id = deps.ids.next();
    this.#receivedAt = deps.clock.now();
    const connector = connectorOf(deps.pipeline.snapshot, transaction.session.connector);
    this.#intake = createHeaderIntake(connector?.maxHeaderSize ?? 262_144);
    this.#maxHops = connector?.maxHopCount ?? 60;
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#refusal !== undefined) return undefined;
    if (this.#writer !== undefined) return this.#guard(this.#writer.write(chunk));
    const end = this.#intake.push(chunk);
    if (end === undefined) return undefined;
    if (end === "too-large") return this.#refuse(HEADER_TOO_LARGE);
    return this.#guard(this.#headerDone(end));
  }

  async end(): Promise<Answer & object> {
    const timed = this.#deps.metrics.acceptSeconds.startTimer();
    try {
      if (this.#header === undefined && this.#refusal === undefined)
        await this.#headerDone(this.#intake.finish());
      const refusal = this.#refusal ?? (await this.#contentDone());
      if (refusal === undefined) return await this.#deps.accept(this.#contentEnd());
      this.abort();
      this.#deps.refused(refusal);
      return { reply: refusal };
    } catch (cause) {
      this.#fault(cause);
      this.abort();
      return { reply: FAULT };
    } finally {
      timed();
    }
  }

  abort(): void {
    this.#refusal ??= FAULT;
    this.#writer?.abort();
    this.#writer = undefined;
    if (this.#body !== undefined) this.#deps.queue.discardBody(this.#body);
    this.#body = undefined;
  }

  /** Judges the header, stamps it, and begins the body. */
  #headerDone({ header, rest }: HeaderEnd): Promise<void> | undefined {
    this.#header = header;
    if (hopCount(header) > this.#maxHops) return this.#refuse(LOOP);
    const verdict = this.#deps.pipeline.agents.onEndOfHeaders(this.#asAgentSees());
    if (verdict instanceof Promise) return verdict.then((decided) => this.#beginBody(decided, rest));
    return this.#beginBody(verdict, rest);
  }

  #beginBody(verdict: Verdict, rest: Uint8Array): Promise<void> | undefined {
    this.#judge(verdict);
    if (this.#refusal !== undefined) return undefined;
    this.#header = this.#stamped(this.#header ?? []);
    this.#writer = this.#deps.queue.writeBody();
    return rest.length === 0 ? undefined : this.#writer.write(rest);
  }

  /** The body is whole: MIME limits and the agents of OnEndOfData. */
  async #contentDone(): Promise<Reply | undefined> {
    this.#body = await this.#writer?.finish();
    this.#writer = undefined;
    const { pipeline } = this.#deps;
    if (pipeline.rules.needsMime && (await this.mime()).tooComplex) return TOO_COMPLEX;
    const verdict = pipeline.agents.onEndOfData(this.#asAgentSees());
    this.#judge(verdict instanceof Promise ? await verdict : verdict);
    this.#scanned = await this.#summary;
    return this.#scanned?.tooComplex ? TOO_COMPLEX : this.#refusal;
  }

  seenHeader(): readonly HeaderField[] {
    return this.#header ?? [];
  }

  replaceHeader(header: readonly HeaderField[]): void {
    this.#header = header;
  }

  seenBody(): Body {
    return this.#whole().body;
  }

  read(): AsyncIterable<Uint8Array> {
    return this.#deps.queue.readBody(this.#whole().body);
  }

  mime(): MimeSummary | Promise<MimeSummary> {
    const { maxMimeParts, maxMimeDepth } = this.#deps.pipeline.snapshot.transport.limits;
    const limits = { maxParts: maxMimeParts, maxDepth: maxMimeDepth, maxText: MAX_TEXT };
    const { header, body } = this.#whole();
    this.#summary ??=
      body.kind === "inline"
        ? scanWholeMime(header, body.bytes, limits)
        : scanMime(header, this.#deps.queue.readBody(body), limits);
    return this.#summary;
  }

  async strip(paths: readonly string[], note: string): Promise<void> {
    const { header, body } = this.#whole();
    const whole = await readWhole(this.#deps.queue, body);
    const stripped = stripAttachments(header, whole, paths, note);
    const replaced = await writeWhole(this.#deps.queue, stripped.body);
    this.#deps.queue.discardBody(body);
    this.#header = stripped.header;
    this.#body = replaced;
    this.#summary = undefined;
  }

  #asAgentSees(): AgentContent {
    this.#seen ??= new ContentSeen(this.#transaction, this);
    return this.#seen;
  }

  #stamped(header: readonly HeaderField[]): HeaderField[] {
    const { session, envelope } = this.#transaction;
    const { hostname } = this.#deps.pipeline.snapshot.transport;
    const complete = session.internal
      ? submissionFields(header, this.#id, hostname, this.#receivedAt)
      : [...header];
    const received = receivedField({
      helo: session.helo,
      clientAddress: session.clientAddress,
      hostname,
      extended: session.extended,
      tls: session.tls,
      authenticated: session.user !== undefined,
      smtpUtf8: envelope.smtpUtf8,
      id: this.#id,
      recipients: envelope.recipients.map(({ address }) => address),
      receivedAt: this.#receivedAt,
    });
    return addFirst(complete, received);
  }

  #judge(verdict: Verdict): void {
    if (verdict === undefined || verdict.action === "tarpit") return;
    if (verdict.action === "reject" || verdict.action === "defer") this.#refusal = verdict.reply;
    else this.#fate = { kind: verdict.action, reason: verdict.reason };
  }

  #refuse(refusal: Reply): undefined {
    this.#refusal = refusal;
    this.#writer?.abort();
    this.#writer = undefined;
    return undefined;
  }

  #guard(pending: Promise<void> | undefined): Promise<void> | undefined {
    return pending?.catch((cause: unknown) => this.#fault(cause));
  }

  #fault(cause: unknown): void {
    this.#refuse(FAULT);
    this.#deps.log.error({ id: this.#id, cause: String(cause) }, "content not taken");
  }

  #whole() {
    if (this.#header === undefined || this.#body === undefined)
      throw new Error("The content is not whole yet");
    return { header: this.#header, body: this.#body };
  }

  #contentEnd(): ContentEnd {
    const { header, body } = this.#whole();
    const discard = () => this.#deps.queue.discardBody(body);
    return {
      id: this.#id,
      receivedAt: this.#receivedAt,
      header,
      body,
      fate: this.#fate,
      summary: this.#scanned,
      discard,
    };
  }
}

/** By name: a transport may have a thousand of them. */
const connectorsOf = new WeakMap<Snapshot, ReadonlyMap<string, ReceiveConnectorEntry>>();

function connectorOf(snapshot: Snapshot, name: string): ReceiveConnectorEntry | undefined {
  const known = connectorsOf.get(snapshot);
  if (known !== undefined) return known.get(name);
  const byName = new Map(snapshot.receiveConnectors.map((connector) => [connector.name, connector]));
  connectorsOf.set(snapshot, byName);
  return byName.get(name);
}

/** RFC 6409 §8: a submission server may add Date and Message-ID; strangers' mail is left as it came. */
function submissionFields(
  header: readonly HeaderField[],
  id: string,
  hostname: string,
  now: number,
): HeaderField[] {
  const added: HeaderField[] = [];
  if (headerValues(header, "Date").length === 0) added.push(makeField("Date", formatDate(now)));
  if (headerValues(header, "Message-ID").length === 0)
    added.push(makeField("Message-ID", `<${id}@${hostname}>`));
  return [...header, ...added];
}
