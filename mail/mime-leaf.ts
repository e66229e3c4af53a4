/**
 * One leaf part while its octets pass: decoded, measured, sniffed, and read as text where it is text.
 *
 * Holds a sniff window and decoder state, never the content.
 *
 * @module
 */
import { type CharsetStream, charsetStream } from "./charset.ts";
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

/** Text of all text parts together, up to a limit of characters. */
export class TextCollector {
  readonly #limit: number;
  #pieces: string[] = [];
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  text(): string {
    return this.#pieces.join("");
  }

  /** A sink for one part; undefined when the limit is reached or the part is no text. */
  sink(leaf: Entity): OctetSink | undefined {
    if (this.#length >= this.#limit) return undefined;
    if (leaf.contentType !== "text/plain" && leaf.contentType !== "text/html") return undefined;
    if (this.#length > 0) this.#add("\n");
    const charset = charsetStream(leaf.fields.charset);
    return leaf.contentType === "text/html" ? this.#htmlSink(charset) : this.#plainSink(charset);
  }

  #plainSink(charset: CharsetStream): OctetSink {
    return {
      write: (octets) => this.#wanted() && this.#add(charset.decode(octets)),
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

  #add(text: string): void {
    const kept = text.slice(0, this.#limit - this.#length);
    if (kept !== "") this.#pieces.push(kept);
    this.#length += kept.length;
  }
}
