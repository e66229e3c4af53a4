/**
 * Lines: text gathered as octets, for logs that write much: strings that wait would be moved about by the garbage collector.
 *
 * add() some thousand times, then take() all of it. What was taken comes back by giveBack() to be filled again.
 *
 * @module
 */

/** Characters encoded at once. */
const PIECE = 16_384;
const FIRST_SIZE = 65_536;
/** Larger ones are not kept: a burst must not hold memory for good. */
const MOST_KEPT = 4 * 1024 * 1024;

export class Lines {
  #text = "";
  #octets = Buffer.alloc(0);
  #used = 0;
  #spare: Buffer<ArrayBuffer> | undefined;

  /** Octets added since the last take(), near enough: what is not encoded yet counts its characters. */
  get length(): number {
    return this.#used + this.#text.length;
  }

  /** `line` brings its line end. */
  add(line: string): void {
    this.#text += line;
    if (this.#text.length >= PIECE) this.#encode();
  }

  /** All of them as UTF-8. */
  take(): Buffer {
    this.#encode();
    const taken = this.#octets.subarray(0, this.#used);
    this.#octets = this.#spare ?? Buffer.alloc(0);
    this.#spare = undefined;
    this.#used = 0;
    return taken;
  }

  /** `taken` is written: its memory may be used again. */
  giveBack(taken: Buffer): void {
    if (taken.buffer instanceof ArrayBuffer && taken.buffer.byteLength <= MOST_KEPT)
      this.#spare = Buffer.from(taken.buffer);
  }

  #encode(): void {
    // A UTF-16 unit takes three octets of UTF-8 at most.
    const most = this.#used + this.#text.length * 3;
    if (most > this.#octets.length) this.#grow(most);
    this.#used += this.#octets.write(this.#text, this.#used);
    this.#text = "";
  }

  #grow(least: number): void {
    const size = Math.max(least, this.#octets.length * 2, FIRST_SIZE);
    const larger = Buffer.allocUnsafeSlow(size);
    larger.set(this.#octets.subarray(0, this.#used));
    this.#octets = larger;
  }
}
