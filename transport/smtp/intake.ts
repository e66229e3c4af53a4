/**
 * Intake: the octets of the client, cut into lines and content, each handed to its verb.
 *
 * One piece after the other: the next is looked at when the reply to this one is out (RFC 2920 §3.2 keeps the order).
 *
 * @module
 */
import { takeStep } from "./auth-verb.ts";
import { decodeLine, parseCommand } from "./command.ts";
import { endChunk } from "./content.ts";
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

export interface IntakeParts {
  readonly dialogue: Dialogue;
  readonly pace: Pace;
  /** Sends the reply of a verb and does what follows from it. */
  readonly answer: (verb: string, outcome: Outcome) => Promise<void>;
  /** True when octets wait behind the chunk at hand. */
  readonly hasMore: () => boolean;
  /** A line for the protocol log. */
  readonly log: (line: string) => void;
}

/** First octet of a TLS ClientHello. */
const TLS_HANDSHAKE = 0x16;

export class Intake {
  readonly #parts: IntakeParts;
  readonly #lines = new LineReader();

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /** Takes the next piece of the input; returns what is left of it. */
  async take(chunk: Buffer): Promise<Buffer> {
    const { reading } = this.#parts.dialogue;
    if (reading.kind === "data") return this.#takeData(chunk, reading);
    if (reading.kind === "chunk") return this.#takeChunk(chunk, reading);
    const line = this.#lines.take(chunk, reading.kind === "sasl");
    const rest = chunk.subarray(this.#lines.used);
    if (line !== undefined) await this.#takeLine(line, rest.length > 0);
    return rest;
  }

  async #takeData(chunk: Buffer, { content }: Dialogue["reading"] & { kind: "data" }): Promise<Buffer> {
    const { dialogue, pace, answer } = this.#parts;
    const { used, written } = content.take(chunk);
    if (written !== undefined) await written;
    if (content.isExcessive) {
      await answer("DATA", { reply: MESSAGE_TOO_BIG, disconnect: true });
    } else if (content.ended) {
      dialogue.reading = { kind: "command" };
      pace.content(false);
      await answer("DATA", { ...(await content.finish()), endsTransaction: true });
    }
    return chunk.subarray(used);
  }

  async #takeChunk(chunk: Buffer, reading: Dialogue["reading"] & { kind: "chunk" }): Promise<Buffer> {
    const part = chunk.subarray(0, reading.left);
    const written = reading.content?.take(part).written;
    if (written !== undefined) await written;
    if (reading.content?.isExcessive) {
      await this.#parts.answer("BDAT", { reply: MESSAGE_TOO_BIG, disconnect: true });
      return part.subarray(part.length);
    }
    reading.left -= part.length;
    if (reading.left === 0) await this.#endChunk();
    return chunk.subarray(part.length);
  }

  async #endChunk(): Promise<void> {
    const { dialogue, pace, answer } = this.#parts;
    const outcome = await endChunk(dialogue);
    if (outcome.endsTransaction || dialogue.transaction === undefined) pace.content(false);
    await answer("BDAT", outcome);
  }

  async #takeLine(line: Line, hasRest: boolean): Promise<void> {
    const { dialogue, answer, log } = this.#parts;
    if (line.kind !== "line") {
      const reply = line.kind === "bare-lf" ? NOT_A_COMMAND : LINE_TOO_LONG;
      return answer("UNKNOWN", { reply, disconnect: line.kind !== "long" });
    }
    if (dialogue.reading.kind !== "sasl") return this.#takeCommand(line.octets, hasRest);
    log("***");
    const text = decodeLine(line.octets);
    const step =
      text === undefined ? ({ kind: "refused", reply: BAD_BASE64 } as const) : dialogue.reading.next(text);
    return answer("AUTH", await takeStep(dialogue, step));
  }

  async #takeCommand(octets: Buffer, hasRest: boolean): Promise<void> {
    const { dialogue, answer, hasMore } = this.#parts;
    if (octets[0] === TLS_HANDSHAKE) return answer("UNKNOWN", { reply: NOT_SMTP, disconnect: true });
    const text = decodeLine(octets);
    if (text === undefined) return answer("UNKNOWN", { reply: NOT_A_COMMAND });
    const command = parseCommand(text);
    this.#parts.log(command.verb === "AUTH" ? text.replace(/^(\S+\s+\S+).*/, "$1 ***") : text);
    const outcome = await runCommand(dialogue, command);
    if (outcome === undefined) return this.#beginChunk();
    if (dialogue.reading.kind === "data") this.#parts.pace.content(true);
    // CVE-2011-0411: what came in clear behind STARTTLS must not be taken for what TLS protects.
    const isInjected = outcome.startTls === true && (hasRest || hasMore());
    const verb = knownVerb(command.verb);
    return answer(verb, isInjected ? { reply: BEHIND_STARTTLS, disconnect: true } : outcome);
  }

  #beginChunk(): Promise<void> | undefined {
    const { reading } = this.#parts.dialogue;
    if (reading.kind !== "chunk") return undefined;
    if (reading.content !== undefined) this.#parts.pace.content(true);
    return reading.left === 0 ? this.#endChunk() : undefined;
  }
}
