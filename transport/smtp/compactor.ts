/**
 * Compactor: a chunk with some octets left out or put in.
 *
 * Nothing is copied while the result is one span of the chunk; then everything goes into one new buffer,
 * so that a chunk full of dots costs one allocation.
 *
 * @module
 */
export class Compactor {
  readonly #chunk: Buffer;
  /** Octets before this are decided. */
  #kept = 0;
  /** The result so far, while it is a span at the chunk's start: no copy was made yet. */
  #head = 0;
  #copy: Buffer | undefined;
  #length = 0;

  constructor(chunk: Buffer) {
    this.#chunk = chunk;
  }

  /** Leaves out the octet at `at`. */
  drop(at: number): void {
    this.#keepTo(at);
    this.#kept = at + 1;
  }

  /** Puts `octets` before the octet at `at`. */
  insert(at: number, octets: Buffer): void {
    this.#keepTo(at);
    this.#append(octets, 0, octets.length);
  }

  /** The result for the chunk's octets before `end`. */
  finish(end: number): Buffer {
    this.#keepTo(end);
    return this.#copy?.subarray(0, this.#length) ?? this.#chunk.subarray(0, this.#head);
  }

  #keepTo(at: number): void {
    if (at > this.#kept) this.#append(this.#chunk, this.#kept, at);
    this.#kept = at;
  }

  #append(source: Buffer, start: number, end: number): void {
    if (this.#copy === undefined && source === this.#chunk && start === this.#head) {
      this.#head = end;
      return;
    }
    const target = this.#room(end - start);
    if (end - start > 32) {
      source.copy(target, this.#length, start, end);
      this.#length += end - start;
      return;
    }
    // A short span costs less octet by octet than one call into native code.
    let length = this.#length;
    for (let at = start; at < end; at++) target[length++] = source[at] as number;
    this.#length = length;
  }

  #room(octets: number): Buffer {
    if (this.#copy === undefined) {
      this.#copy = Buffer.allocUnsafe(this.#chunk.length + 64);
      this.#chunk.copy(this.#copy, 0, 0, this.#head);
      this.#length = this.#head;
    }
    if (this.#length + octets > this.#copy.length) {
      const larger = Buffer.allocUnsafe(2 * (this.#length + octets));
      this.#copy.copy(larger, 0, 0, this.#length);
      this.#copy = larger;
    }
    return this.#copy;
  }
}
