/**
 * Body writer: takes the octets of one body and chooses its place: inline, in a segment, or a file of its own.
 *
 * What may go to a segment waits in memory until it is whole. Up to 256 KiB each body may; up to 1 MiB those
 * may that find room in a loan common to all; the others stream to files of their own.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import type { Body } from "../../mail/message.ts";
import type { BodyFile } from "./body-file.ts";
import type { BodyWriter } from "./mod.ts";
import type { WholeBody } from "./segment-writer.ts";

/** Where bodies go. */
export interface Places {
  readonly inlineLimit: number;
  readonly loan: Loan;
  /** Durable when it resolves; its name. */
  toSegment(body: WholeBody): Promise<string>;
  newFile(): BodyFile;
  /** On disk under this name. */
  finished(name: string, size: number): void;
  /** On disk, and nobody wants it any more. */
  unwanted(name: string): void;
  onFault(error: Error): void;
}

/** Octets that all writers together may hold beyond what each may. */
export interface Loan {
  left: number;
}

const OWN_OCTETS = 256 * 1024;
const SEGMENT_OCTETS = 1024 * 1024;
const LOAN_OCTETS = 32 * 1024 * 1024;
const SMALL = 4096;
const FEW_PIECES = 16;
const NO_ROOM = new Uint8Array(0);

export function newLoan(): Loan {
  return { left: LOAN_OCTETS };
}

export function createBodyWriter(places: Places): BodyWriter {
  return new StreamedBody(places);
}

class StreamedBody implements BodyWriter {
  readonly #places: Places;
  #pieces: Uint8Array[] = [];
  /** Room left in the last piece, which small chunks are copied into. */
  #room: Uint8Array = NO_ROOM;
  #size = 0;
  #borrowed = 0;
  #file: BodyFile | undefined;
  #aborted = false;

  constructor(places: Places) {
    this.#places = places;
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#aborted) return undefined;
    this.#size += chunk.length;
    if (this.#file !== undefined) return this.#file.write([chunk]);
    this.#hold(chunk);
    if (this.#mayStayInMemory(chunk.length)) return undefined;
    this.#file = this.#places.newFile();
    return this.#file.write(this.#letGo());
  }

  async finish(): Promise<Body> {
    if (this.#aborted) throw givenUp();
    const size = this.#size;
    if (size <= this.#places.inlineLimit) {
      return { kind: "inline", bytes: Buffer.concat(this.#letGo(), size), size };
    }
    try {
      const name = await this.#write();
      if (this.#aborted) {
        this.#places.unwanted(name);
        throw givenUp();
      }
      return { kind: "file", name, size };
    } catch (cause) {
      const wasAborted = this.#aborted;
      this.abort();
      const error = new Error(`Cannot write a body file: ${cause instanceof Error ? cause.message : cause}`, {
        cause,
      });
      if (!wasAborted) this.#places.onFault(error);
      throw error;
    }
  }

  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#letGo();
    void this.#file?.abort();
  }

  async #write(): Promise<string> {
    if (this.#file === undefined) {
      const pieces = this.#letGo();
      return await this.#places.toSegment({ pieces, size: this.#size, checksum: checksumOf(pieces) });
    }
    const name = await this.#file.finish();
    this.#places.finished(name, this.#size);
    return name;
  }

  #mayStayInMemory(octets: number): boolean {
    const { inlineLimit, loan } = this.#places;
    if (this.#size <= inlineLimit || this.#size <= OWN_OCTETS) return true;
    if (this.#size > SEGMENT_OCTETS || loan.left < octets) return false;
    loan.left -= octets;
    this.#borrowed += octets;
    return true;
  }

  /** Chunks are kept as they are; of a body that comes in crumbs, crumbs are joined: each would cost more than it holds. */
  #hold(chunk: Uint8Array): void {
    if (chunk.length >= SMALL || this.#pieces.length < FEW_PIECES) {
      this.#pieces.push(chunk);
      this.#room = NO_ROOM;
      return;
    }
    if (this.#room.length < chunk.length) {
      const block = Buffer.allocUnsafeSlow(4 * SMALL);
      this.#pieces.push(block.subarray(0, 0));
      this.#room = block;
    }
    this.#room.set(chunk);
    const last = this.#pieces.pop() ?? chunk;
    this.#pieces.push(new Uint8Array(last.buffer, last.byteOffset, last.length + chunk.length));
    this.#room = this.#room.subarray(chunk.length);
  }

  #letGo(): Uint8Array[] {
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#places.loan.left += this.#borrowed;
    this.#borrowed = 0;
    return pieces;
  }
}

function checksumOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => crc32(piece, sum), 0);
}

function givenUp(): Error {
  return new Error("Cannot finish a body: it was given up");
}
