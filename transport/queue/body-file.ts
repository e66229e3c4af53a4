/**
 * Body file: one large body, written to a file of its own as its octets come.
 *
 * write() never fails; finish() does. When finish() resolves, the octets and the name are on disk.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { type FileHandle, open, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { bodyFileName, partFileName } from "./body-name.ts";

const WRITE_AHEAD = 256 * 1024;

export class BodyFile {
  readonly #directory: string;
  readonly #flushFolder: () => Promise<void>;
  readonly #id = randomUUID();
  #chunks: Uint8Array[] = [];
  #held = 0;
  #size = 0;
  #checksum = 0;
  #handle: FileHandle | undefined;
  #writing: Promise<void> | undefined;
  #fault: unknown;

  constructor(directory: string, flushFolder: () => Promise<void>) {
    this.#directory = directory;
    this.#flushFolder = flushFolder;
  }

  /** Resolves when more may be written. */
  write(chunks: readonly Uint8Array[]): Promise<void> | undefined {
    if (this.#fault !== undefined) return undefined;
    for (const chunk of chunks) {
      this.#chunks.push(chunk);
      this.#held += chunk.length;
    }
    this.#writing ??= this.#drain();
    return this.#held > WRITE_AHEAD ? this.#writing : undefined;
  }

  /** Its name. */
  async finish(): Promise<string> {
    while (this.#writing !== undefined) await this.#writing;
    if (this.#fault !== undefined) throw this.#fault;
    await this.#handle?.datasync();
    await this.#handle?.close();
    const name = bodyFileName(this.#id, this.#size, this.#checksum);
    await rename(this.#part(), join(this.#directory, name));
    await this.#flushFolder();
    return name;
  }

  /** Leaves nothing behind; of no effect on a file that has its name. */
  async abort(): Promise<void> {
    this.#chunks = [];
    this.#held = 0;
    await this.#writing;
    // Both may fail: the file was closed, renamed or never made.
    await this.#handle?.close().catch(() => undefined);
    await unlink(this.#part()).catch(() => undefined);
  }

  /** Writes until nothing waits. Never rejects: finish() tells of the fault. */
  async #drain(): Promise<void> {
    try {
      this.#handle ??= await open(this.#part(), "wx", 0o600);
      while (this.#chunks.length > 0) {
        const chunks = this.#chunks;
        this.#chunks = [];
        await this.#append(chunks);
      }
    } catch (error) {
      this.#fault = error;
      this.#chunks = [];
      this.#held = 0;
    }
    this.#writing = undefined;
  }

  async #append(chunks: readonly Uint8Array[]): Promise<void> {
    const octets = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
    this.#checksum = crc32(octets, this.#checksum);
    for (let at = 0; at < octets.length; ) {
      const { bytesWritten } = (await this.#handle?.write(octets, at)) ?? { bytesWritten: octets.length };
      at += bytesWritten;
    }
    this.#size += octets.length;
    this.#held -= octets.length;
  }

  #part(): string {
    return join(this.#directory, partFileName(this.#id));
  }
}
