/**
 * Content: DATA and BDAT, from the octets of the client to the sink of the handler.
 *
 * The sink gets nothing that must not be in a message. What is too big or malformed is aborted at once and swallowed;
 * the reply comes after the end of data, where RFC 5321 §4.1.1.4 has it.
 *
 * @module
 */
import { whenDone } from "../../lib/when-done.ts";
import { type IpRange, parseIp, parseIpRange, rangeContains } from "../../mail/ip-range.ts";
import { type Reply, reply } from "../../mail/reply.ts";
import type { Answer, MessageSink } from "../../mail/session.ts";
import { DataParser } from "./data-parser.ts";
import {
  currentOffer,
  type Dialogue,
  type OpenTransaction,
  type Outcome,
  type Step,
  theirs,
} from "./dialogue.ts";
import {
  BAD_ARGUMENTS,
  BAD_SEQUENCE,
  BARE_CR_OR_LF,
  INTERNAL_FAULT,
  LINE_OF_DATA_TOO_LONG,
  MAIL_FIRST,
  MESSAGE_TOO_BIG,
  NOT_IMPLEMENTED,
  RCPT_FIRST,
  START_INPUT,
} from "./replies.ts";

/** A client that sends this many times the limit is not told at the end: it is cut off. */
const EXCESS = 10;

export class ContentReader {
  /** True once CRLF.CRLF was seen (DATA). */
  ended = false;
  /** True once the sink was asked for its answer. */
  isOver = false;
  /** Why smtp refuses the message. */
  refusal: Reply | undefined = undefined;
  #sink: MessageSink | undefined;
  readonly #parser: DataParser | undefined;
  readonly #maxSize: number;
  readonly #onFault: (error: unknown) => void;
  #size = 0;
  #received = 0;

  constructor(
    sink: MessageSink,
    /** undefined: every octet is content (BINARYMIME). */
    parser: DataParser | undefined,
    { maxSize, onFault }: { maxSize: number; onFault: (error: unknown) => void },
  ) {
    this.#sink = sink;
    this.#parser = parser;
    this.#maxSize = maxSize;
    this.#onFault = onFault;
  }

  /** True when the client sends so much more than it may that waiting for the end serves nobody. */
  get isExcessive(): boolean {
    return this.#received > EXCESS * this.#maxSize;
  }

  /** Takes octets up to the end of data. Returns how many, and what to wait for before the next. */
  take(chunk: Buffer): { readonly used: number; readonly written: Promise<void> | undefined } {
    const parser = this.#parser;
    const used = parser === undefined ? chunk.length : parser.feed(chunk);
    this.#received += used;
    if (parser?.fault !== undefined)
      this.#refuse(parser.fault === "long" ? LINE_OF_DATA_TOO_LONG : BARE_CR_OR_LF);
    this.ended = parser?.ended === true;
    return { used, written: this.#write(parser === undefined ? chunk : parser.output) };
  }

  /** Ends the message: the sink's answer, or why smtp refuses it. */
  async finish(): Promise<Outcome> {
    const written = this.#write(this.#parser?.finish() ?? NOTHING);
    if (written !== undefined) await written;
    if (this.#parser?.fault !== undefined) this.#refuse(BARE_CR_OR_LF);
    const sink = this.#sink;
    this.#sink = undefined;
    if (this.refusal !== undefined || sink === undefined) return { reply: this.refusal ?? INTERNAL_FAULT };
    this.isOver = true;
    try {
      return theirs(await sink.end());
    } catch (error) {
      this.#onFault(error);
      return { reply: INTERNAL_FAULT };
    }
  }

  /** Forgets the message; nothing happens when the sink has ended. */
  abort(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    if (sink === undefined) return;
    try {
      sink.abort();
    } catch (error) {
      this.#onFault(error);
    }
  }

  #write(octets: Buffer): Promise<void> | undefined {
    this.#size += octets.length;
    if (this.#size > this.#maxSize) this.#refuse(MESSAGE_TOO_BIG);
    if (this.#sink === undefined || octets.length === 0) return undefined;
    try {
      return this.#sink.write(octets)?.catch((error: unknown) => this.#broken(error));
    } catch (error) {
      this.#broken(error);
      return undefined;
    }
  }

  #broken(error: unknown): void {
    this.#onFault(error);
    this.#refuse(INTERNAL_FAULT);
  }

  #refuse(refusal: Reply): void {
    this.refusal ??= refusal;
    this.abort();
  }
}

const NOTHING: Buffer = Buffer.alloc(0);

export function data(dialogue: Dialogue, args: string): Step {
  const { transaction } = dialogue;
  if (args !== "") return { reply: BAD_ARGUMENTS };
  const wrong = sequenceFault(transaction);
  if (wrong !== undefined || transaction === undefined) return { reply: wrong ?? MAIL_FIRST };
  // RFC 3030 §3: BINARYMIME cannot travel in DATA, and DATA cannot follow BDAT.
  if (transaction.content !== undefined || transaction.envelope.bodyType === "BINARYMIME") {
    return { reply: BAD_SEQUENCE };
  }
  return whenDone(openContent(dialogue, transaction, true), (opened) => {
    if ("reply" in opened) return opened;
    transaction.content = opened;
    dialogue.reading = { kind: "data", content: opened };
    return { reply: START_INPUT };
  });
}

/**
 * BDAT size [LAST] (RFC 3030 §2). Its octets follow whatever we think of it, so it always sets the reading;
 * undefined: the reply comes after them.
 */
export async function bdat(dialogue: Dialogue, args: string): Promise<Outcome | undefined> {
  const [, digits, last] = /^(\d{1,15})(?:[ \t]+(LAST))?$/i.exec(args) ?? [];
  // Without its size the octets cannot be told from commands.
  if (digits === undefined) return { reply: BAD_ARGUMENTS, disconnect: true };
  const size = Number(digits);
  if (size > EXCESS * dialogue.connector.maxMessageSize) return { reply: MESSAGE_TOO_BIG, disconnect: true };
  const opened = await chunkContent(dialogue);
  const isRefused = "reply" in opened;
  dialogue.reading = {
    kind: "chunk",
    size,
    left: size,
    isLast: last !== undefined,
    content: isRefused ? undefined : opened,
    refusal: isRefused ? opened : undefined,
  };
  return undefined;
}

/** The octets of a BDAT are in: its reply. */
export async function endChunk(dialogue: Dialogue): Promise<Outcome> {
  const { reading } = dialogue;
  dialogue.reading = { kind: "command" };
  if (reading.kind !== "chunk" || reading.content === undefined) {
    return (reading.kind === "chunk" && reading.refusal) || { reply: BAD_SEQUENCE };
  }
  const { content, isLast, size } = reading;
  if (isLast) return { ...(await content.finish()), endsTransaction: true };
  if (content.refusal !== undefined) return { reply: content.refusal, endsTransaction: true };
  return { reply: reply(250, "2.0.0", `${size} octets received`) };
}

async function chunkContent(dialogue: Dialogue): Promise<ContentReader | Outcome> {
  const { transaction } = dialogue;
  if (!currentOffer(dialogue).chunking) return { reply: NOT_IMPLEMENTED };
  const wrong = sequenceFault(transaction);
  if (wrong !== undefined || transaction === undefined) return { reply: wrong ?? MAIL_FIRST };
  if (transaction.content !== undefined) return transaction.content;
  const opened = await openContent(dialogue, transaction, false);
  if (!("reply" in opened)) transaction.content = opened;
  return opened;
}

function sequenceFault(transaction: OpenTransaction | undefined): Reply | undefined {
  if (transaction === undefined) return MAIL_FIRST;
  return transaction.envelope.recipients.length === 0 ? RCPT_FIRST : undefined;
}

/** Asks the handler for a sink. A refusal ends the transaction. */
function openContent(
  dialogue: Dialogue,
  transaction: OpenTransaction,
  transparency: boolean,
): ContentReader | Outcome | Promise<ContentReader | Outcome> {
  const { services } = dialogue;
  const broken = (error: unknown): Outcome => {
    services.fault(error, "content");
    return { reply: INTERNAL_FAULT, endsTransaction: true };
  };
  const opened = (answer: Answer | MessageSink) =>
    answer === undefined
      ? broken(new Error("Cannot take content: the handler gave no sink"))
      : readContent(dialogue, transaction, { answer, transparency });
  try {
    const answer = services.handler.onData(transaction);
    return answer instanceof Promise ? answer.then(opened, broken) : opened(answer);
  } catch (error) {
    return broken(error);
  }
}

function readContent(
  dialogue: Dialogue,
  transaction: OpenTransaction,
  {
    answer,
    transparency,
  }: { readonly answer: (Answer & object) | MessageSink; readonly transparency: boolean },
): ContentReader | Outcome {
  const { services, connector, session } = dialogue;
  if ("reply" in answer) return { ...theirs(answer), endsTransaction: true };
  const normalize = isInside(connector.bareLinefeedNormalizationRanges, session.clientAddress);
  const isBinary = transaction.envelope.bodyType === "BINARYMIME";
  const parser = isBinary ? undefined : new DataParser({ transparency, normalize });
  const content = new ContentReader(answer, parser, {
    maxSize: connector.maxMessageSize,
    onFault: (error) => services.fault(error, "content"),
  });
  if (dialogue.transaction === transaction) return content;
  // The client left while the handler was thinking: nobody else would tell the sink.
  content.abort();
  return { reply: INTERNAL_FAULT };
}

// Few connectors have such ranges, and those that do have few: parsed at each message they cost nothing that shows.
function isInside(ranges: readonly string[], clientAddress: string): boolean {
  const address = ranges.length === 0 ? undefined : parseIp(clientAddress);
  if (address === undefined) return false;
  return ranges
    .map(parseIpRange)
    .some((range: IpRange | undefined) => range !== undefined && rangeContains(range, address));
}
