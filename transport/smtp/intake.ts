/**
 * Intake: the octets of the client, cut into lines and content, each handed to its verb.
 *
 * One piece after the other: the next is looked at when the reply to this one is out (RFC 2920 §3.2 keeps the order).
 *
 * @module
 */
import { takeStep } from "./auth-verb.ts";
import { type Command, decodeLine, parseCommand } from "./command.ts";
import { type ContentReader, endChunk } from "./content.ts";
import type { Dialogue, Outcome } from "./dialogue.ts";
import { type Line, LineReader } from "./line-reader.ts";
import type { Pace } from "./pace.ts";
import {
  BAD_BASE64,
  BEHIND_STARTTLS,
  LINE_TOO_LONG,
  MESSAGE_TOO_BIG,
  NOT_A_COMMAND,
  NOT_SMTP,
} from "./replies.ts";
import { knownVerb, runCommand } from "./verbs.ts";

/** What the intake needs of its session. */
export interface IntakeSession {
  readonly dialogue: Dialogue;
  readonly pace: Pace;
  /** True: nothing is listened to any more. */
  readonly isClosing: boolean;
  /** Sends the reply of a verb and does what follows from it. */
  answer(verb: string, outcome: Outcome): Promise<void> | undefined;
  /** True when octets wait behind the chunk at hand. */
  hasMore(): boolean;
  /** A line for the protocol log. */
  heard(line: string): void;
}

/** Something to wait for, if there is. */
type Pending = Promise<void> | undefined;

/** First octet of a TLS ClientHello. */
const TLS_HANDSHAKE = 0x16;

const NOTHING: Buffer = Buffer.alloc(0);

export class Intake {
  readonly #session: IntakeSession;
  readonly #lines = new LineReader();

  constructor(session: IntakeSession) {
    this.#session = session;
  }

  /** Takes all of the input; undefined: nothing had to be waited for. */
  takeAll(chunk: Buffer): Promise<void> | undefined {
    let rest: Buffer | Promise<Buffer> = chunk;
    while (!(rest instanceof Promise)) {
      if (rest.length === 0 || this.#session.isClosing) return undefined;
      rest = this.#take(rest);
    }
    return rest.then((left) => this.takeAll(left));
  }

  /** Takes the next piece; returns what is left. */
  #take(chunk: Buffer): Buffer | Promise<Buffer> {
    const { reading } = this.#session.dialogue;
    if (reading.kind === "data") return this.#takeData(chunk, reading.content);
    if (reading.kind === "chunk") return this.#takeChunk(chunk, reading);
    const line = this.#lines.take(chunk, reading.kind === "sasl");
    const rest = behind(chunk, this.#lines.used);
    return line === undefined ? rest : withRest(this.#takeLine(line, rest.length > 0), rest);
  }

  #takeData(chunk: Buffer, content: ContentReader): Buffer | Promise<Buffer> {
    const { used, written } = content.take(chunk);
    const rest = behind(chunk, used);
    if (written !== undefined) return this.#afterWrite(written, content, rest);
    return withRest(this.#endData(content), rest);
  }

  async #afterWrite(written: Promise<void>, content: ContentReader, rest: Buffer): Promise<Buffer> {
    await written;
    await this.#endData(content);
    return rest;
  }

  #endData(content: ContentReader): Pending {
    const { dialogue, pace } = this.#session;
    if (content.isExcessive)
      return this.#session.answer("DATA", { reply: MESSAGE_TOO_BIG, disconnect: true });
    if (!content.ended) return undefined;
    dialogue.reading = { kind: "command" };
    pace.content(false);
    return content
      .finish()
      .then((outcome) => this.#session.answer("DATA", { ...outcome, endsTransaction: true }));
  }

  async #takeChunk(chunk: Buffer, reading: Dialogue["reading"] & { kind: "chunk" }): Promise<Buffer> {
    const part = chunk.subarray(0, reading.left);
    const written = reading.content?.take(part).written;
    if (written !== undefined) await written;
    if (reading.content?.isExcessive) {
      await this.#session.answer("BDAT", { reply: MESSAGE_TOO_BIG, disconnect: true });
      return NOTHING;
    }
    reading.left -= part.length;
    if (reading.left === 0) await this.#endChunk();
    return behind(chunk, part.length);
  }

  async #endChunk(): Promise<void> {
    const { dialogue, pace } = this.#session;
    const outcome = await endChunk(dialogue);
    if (outcome.endsTransaction || dialogue.transaction === undefined) pace.content(false);
    await this.#session.answer("BDAT", outcome);
  }

  #takeLine(line: Line, hasRest: boolean): Pending {
    const { dialogue } = this.#session;
    if (line.kind !== "line") {
      const reply = line.kind === "bare-lf" ? NOT_A_COMMAND : LINE_TOO_LONG;
      return this.#session.answer("UNKNOWN", { reply, disconnect: line.kind !== "long" });
    }
    if (dialogue.reading.kind !== "sasl") return this.#takeCommand(line.octets, hasRest);
    this.#session.heard("***");
    const text = decodeLine(line.octets);
    const step =
      text === undefined ? ({ kind: "refused", reply: BAD_BASE64 } as const) : dialogue.reading.next(text);
    const outcome = takeStep(dialogue, step);
    return outcome instanceof Promise
      ? outcome.then((decided) => this.#session.answer("AUTH", decided))
      : this.#session.answer("AUTH", outcome);
  }

  #takeCommand(octets: Buffer, hasRest: boolean): Pending {
    const session = this.#session;
    if (octets[0] === TLS_HANDSHAKE) return session.answer("UNKNOWN", { reply: NOT_SMTP, disconnect: true });
    const text = decodeLine(octets);
    if (text === undefined) return session.answer("UNKNOWN", { reply: NOT_A_COMMAND });
    const command = parseCommand(text);
    session.heard(command.verb === "AUTH" ? text.replace(/^(\S+\s+\S+).*/, "$1 ***") : text);
    const outcome = runCommand(session.dialogue, command);
    return outcome instanceof Promise
      ? outcome.then((decided) => this.#decided(command, decided, hasRest))
      : this.#decided(command, outcome, hasRest);
  }

  #decided({ verb }: Command, outcome: Outcome | undefined, hasRest: boolean): Pending {
    const session = this.#session;
    if (outcome === undefined) return this.#beginChunk();
    if (session.dialogue.reading.kind === "data") session.pace.content(true);
    // CVE-2011-0411: what came in clear behind STARTTLS must not be taken for what TLS protects.
    const isInjected = outcome.startTls === true && (hasRest || session.hasMore());
    return session.answer(
      knownVerb(verb),
      isInjected ? { reply: BEHIND_STARTTLS, disconnect: true } : outcome,
    );
  }

  #beginChunk(): Pending {
    const { dialogue, pace } = this.#session;
    if (dialogue.reading.kind !== "chunk") return undefined;
    if (dialogue.reading.content !== undefined) pace.content(true);
    return dialogue.reading.left === 0 ? this.#endChunk() : undefined;
  }
}

function behind(chunk: Buffer, used: number): Buffer {
  return used === chunk.length ? NOTHING : chunk.subarray(used);
}

function withRest(pending: Pending, rest: Buffer): Buffer | Promise<Buffer> {
  return pending === undefined ? rest : pending.then(() => rest);
}
