/** Cuts a stream of octets into lines, whatever the pieces it comes in: a character of many octets may be cut in two. */
const LF = 0x0a;

export class LineSplitter {
  readonly #maxBytes: number;
  #rest: Buffer[] = [];
  #restBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Octets of a line that has not ended. */
  get pending(): number {
    return this.#restBytes;
  }

  /** The lines that end in this piece, without the empty ones. Throws RangeError when a line is longer than we take. */
  push(piece: Buffer): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let end = piece.indexOf(LF); end !== -1; end = piece.indexOf(LF, from)) {
      this.#keep(piece.subarray(from, end));
      const line = Buffer.concat(this.#rest).toString("utf8").trim();
      if (line !== "") lines.push(line);
      this.#rest = [];
      this.#restBytes = 0;
      from = end + 1;
    }
    if (from < piece.length) this.#keep(piece.subarray(from));
    return lines;
  }

  #keep(part: Buffer): void {
    this.#restBytes += part.length;
    if (this.#restBytes > this.#maxBytes)
      throw new RangeError(`a line is longer than ${this.#maxBytes} octets`);
    this.#rest.push(part);
  }
}
