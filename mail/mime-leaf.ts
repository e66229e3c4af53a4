/**
 * One leaf part while its octets pass: decoded, measured, sniffed, and read as text where it is text.
 *
 * Holds a sniff window and decoder state, and of the content its text, up to a limit.
 *
 * @module
 */
import { isAscii } from "node:buffer";
import { type CharsetStream, charsetStream, keepsAscii } from "./charset.ts";
import { HtmlText } from "./html-text.ts";
import type { Entity } from "./mime-structure.ts";
import { SniffWindow } from "./sniff.ts";
import { type TransferDecoder, transferDecoder } from "./transfer-encoding.ts";

/** Takes decoded octets. */
export interface OctetSink {
  write(octets: Uint8Array): void;
  end(): void;
}

export class LeafReading {
  readonly #decoder: TransferDecoder;
  readonly #window = new SniffWindow();
  readonly #sink: OctetSink | undefined;

  constructor(leaf: Entity, sink: OctetSink | undefined) {
    this.#decoder = transferDecoder(leaf.fields.encoding);
    this.#sink = sink;
  }

  write(octets: Uint8Array): void {
    this.#decoded(this.#decoder.write(octets));
  }

  end(): { size: number; sniffedType: string | undefined } {
    this.#decoded(this.#decoder.end());
    this.#sink?.end();
    return { size: this.#window.size, sniffedType: this.#window.type() };
  }

  #decoded(octets: Uint8Array): void {
    if (octets.length === 0) return;
    this.#window.write(octets);
    this.#sink?.write(octets);
  }
}

const SPACE = Buffer.from(" ");
/** Shorter ones are kept as strings. */
const MANY_OCTETS = 8192;

/**
 * Text of all text parts together, up to a limit of characters.
 *
 * Long pieces of ASCII stay octets until the text is asked for: strings of that size, kept while a message is on its
 * way, are copied by each collection of the memory that they are in.
 */
export class TextCollector {
  readonly #limit: number;
  #pieces: (string | Buffer)[] = [];
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Of text(). */
  get length(): number {
    return this.#length;
  }

  /** Once no more comes. */
  text(): string {
    const [first = "", second] = this.#pieces;
    const text = second === undefined ? asText(first) : joined(this.#pieces, this.#length);
    this.#pieces = [text];
    return text;
  }

  /** A sink for one part; undefined when the limit is reached or the part is no text. */
  sink(leaf: Entity): OctetSink | undefined {
    if (this.#length >= this.#limit) return undefined;
    if (leaf.contentType !== "text/plain" && leaf.contentType !== "text/html") return undefined;
    if (this.#length > 0) this.#add("\n");
    const charset = charsetStream(leaf.fields.charset);
    if (leaf.contentType === "text/html") return this.#htmlSink(charset);
    return this.#plainSink(charset, keepsAscii(leaf.fields.charset));
  }

  /** `isAsciiSoFar`: no octet of the part has changed what the next ones mean. */
  #plainSink(charset: CharsetStream, isAsciiSoFar: boolean): OctetSink {
    let isPlain = isAsciiSoFar;
    let isBehind = false;
    return {
      write: (octets) => {
        if (!this.#wanted()) return;
        isPlain &&= isAscii(octets);
        if (isPlain && octets.length >= MANY_OCTETS) {
          this.#addAscii(octets);
          isBehind = true;
          return;
        }
        // A byte order mark is one at the beginning only, which this is not.
        if (isBehind) charset.decode(SPACE);
        isBehind = false;
        this.#add(charset.decode(octets));
      },
      end: () => this.#wanted() && this.#add(charset.end()),
    };
  }

  #htmlSink(charset: CharsetStream): OctetSink {
    const html = new HtmlText();
    return {
      write: (octets) => this.#wanted() && this.#add(html.write(charset.decode(octets))),
      end: () => this.#wanted() && this.#add(html.write(charset.end()) + html.end()),
    };
  }

  #wanted(): boolean {
    return this.#length < this.#limit;
  }

  /** A copy where the whole buffer would be kept alive for a part of it. */
  #addAscii(octets: Uint8Array): void {
    const { buffer, byteOffset, length } = octets.subarray(0, this.#limit - this.#length);
    const view = Buffer.from(buffer, byteOffset, length);
    this.#pieces.push(2 * length < buffer.byteLength ? copyOf(view) : view);
    this.#length += length;
  }

  #add(text: string): void {
    const kept = text.slice(0, this.#limit - this.#length);
    if (kept !== "") this.#pieces.push(kept);
    this.#length += kept.length;
  }
}

/** Not in Node's pool: each piece of that keeps all of it alive. */
function copyOf(octets: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(octets.length);
  octets.copy(copy);
  return copy;
}

/** One string is made of octets: one of each piece before would be as much memory again. `length`: of the text. */
function joined(pieces: readonly (string | Buffer)[], length: number): string {
  if (!pieces.some(Buffer.isBuffer) || pieces.some(isBeyondLatin1)) return pieces.map(asText).join("");
  const octets = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for (const piece of pieces) {
    at += typeof piece === "string" ? octets.write(piece, at, "latin1") : piece.copy(octets, at);
  }
  return octets.toString("latin1");
}

function isBeyondLatin1(piece: string | Buffer): boolean {
  return typeof piece === "string" && /[^\x00-\xff]/.test(piece);
}

function asText(piece: string | Buffer): string {
  return typeof piece === "string" ? piece : piece.toString("latin1");
}
