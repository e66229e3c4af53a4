/**
 * Bodies: the octets of messages, in memory up to the inline limit, beyond it a file of their own.
 *
 * A file is written as the octets stream in, flushed, named after its checksum and its folder flushed, all
 * before finish() resolves: a row never names a file that is not whole on disk. Names are made here, and a
 * name that was not is never opened. Files that no row names are swept when the queue opens.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import type { Body } from "../../mail/message.ts";
import { flushFolder } from "./flush-folder.ts";
import type { BodyWriter } from "./mod.ts";

/** A body file is missing, cut short or altered. */
export class DamagedBodyError extends Error {
  override readonly name = "DamagedBodyError";
  readonly file: string;

  constructor(file: string, reason: string, options?: ErrorOptions) {
    super(`Cannot read body file "${file}": ${reason}`, options);
    this.file = file;
  }
}

export interface Bodies {
  writer(): BodyWriter;
  read(body: Body): AsyncIterable<Uint8Array>;
  /** Throws DamagedBodyError when a file is missing or has another size. Its octets are checked as they are read. */
  check(body: Body): Promise<void>;
  /** A row names this body from now on: discard() leaves it alone. */
  claim(body: Body): void;
  /** Removes files that no row names any more. */
  remove(files: readonly string[]): void;
  /** Removes a finished body that no row ever named. */
  discard(body: Body): void;
  /** Octets in body files. */
  size(): number;
}

export interface BodyOptions {
  readonly directory: string;
  readonly inlineLimit: number;
  /** Called when reading finds a damaged file. */
  onDamaged(error: DamagedBodyError): void;
  /** Called when a file cannot be written. */
  onFault(error: Error): void;
}

// Made by finish(): a UUID, the number of octets and their CRC-32.
const FILE_NAME = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(\d{1,15})\.([0-9a-f]{8})$/;
const WRITE_AHEAD = 256 * 1024;

/** Opens the folder and sweeps out what no row names: bodies of messages that were never accepted, or are gone. */
export async function openBodies(
  options: BodyOptions,
  named: readonly { readonly name: string; readonly size: number }[],
): Promise<Bodies> {
  const { directory } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await flushFolder(dirname(directory));
  const keep = new Set(named.map(({ name }) => name));
  for (const file of await readdir(directory)) {
    if (!keep.has(file)) await unlink(join(directory, file));
  }
  let total = named.reduce((sum, { size }) => sum + size, 0);
  /** Finished files that no row names yet. */
  const unclaimed = new Set<string>();
  const flush = shareFlush(directory);

  const remove = (file: string) => {
    const size = FILE_NAME.exec(file)?.[1];
    if (size === undefined) return;
    unlink(join(directory, file)).catch(() => undefined); // Swept at the next opening if it stays.
    total -= Number(size);
  };
  return {
    writer: () =>
      new StreamedBody(options, async (from, file, size) => {
        await rename(join(directory, from), join(directory, file));
        await flush();
        unclaimed.add(file);
        total += size;
      }),
    read: (body) => readBody(options, body),
    check: (body) => checkFile(directory, body),
    claim(body) {
      if (body.kind === "file") unclaimed.delete(body.name);
    },
    remove(files) {
      for (const file of files) remove(file);
    },
    discard(body) {
      if (body.kind === "file" && unclaimed.delete(body.name)) remove(body.name);
    },
    size: () => total,
  };
}

class StreamedBody implements BodyWriter {
  readonly #options: BodyOptions;
  readonly #keep: (from: string, file: string, size: number) => Promise<void>;
  readonly #name = randomUUID();
  #chunks: Uint8Array[] = [];
  #held = 0;
  #size = 0;
  #checksum = 0;
  #file: FileHandle | undefined;
  #writing: Promise<void> | undefined;
  #fault: unknown;
  #aborted = false;

  constructor(options: BodyOptions, keep: (from: string, file: string, size: number) => Promise<void>) {
    this.#options = options;
    this.#keep = keep;
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#fault !== undefined || this.#aborted) return undefined;
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    this.#size += chunk.length;
    if (this.#size <= this.#options.inlineLimit) return undefined;
    this.#writing ??= this.#drain();
    return this.#held > WRITE_AHEAD ? this.#writing : undefined;
  }

  async finish(): Promise<Body> {
    if (this.#aborted) throw new Error("Cannot finish a body: it was given up");
    const size = this.#size;
    if (size <= this.#options.inlineLimit) {
      return { kind: "inline", bytes: Buffer.concat(this.#chunks, size), size };
    }
    try {
      while (this.#writing !== undefined) await this.#writing;
      if (this.#fault !== undefined) throw this.#fault;
      await this.#file?.datasync();
      await this.#file?.close();
      const name = `${this.#name}.${size}.${this.#checksum.toString(16).padStart(8, "0")}`;
      await this.#keep(this.#partName(), name, size);
      return { kind: "file", name, size };
    } catch (cause) {
      const wasAborted = this.#aborted;
      this.abort();
      const error = new Error(`Cannot write a body file: ${cause instanceof Error ? cause.message : cause}`, {
        cause,
      });
      if (!wasAborted) this.#options.onFault(error);
      throw error;
    }
  }

  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#chunks = [];
    this.#held = 0;
    void this.#forget();
  }

  async #forget(): Promise<void> {
    await this.#writing;
    // Both may fail: the file was closed, renamed or never made.
    await this.#file?.close().catch(() => undefined);
    await unlink(join(this.#options.directory, this.#partName())).catch(() => undefined);
  }

  /** Writes until nothing waits. Never rejects: finish() tells of the fault. */
  async #drain(): Promise<void> {
    try {
      this.#file ??= await open(join(this.#options.directory, this.#partName()), "wx", 0o600);
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
      const { bytesWritten } = (await this.#file?.write(octets, at)) ?? { bytesWritten: octets.length };
      at += bytesWritten;
    }
    this.#held -= octets.length;
  }

  #partName(): string {
    return `${this.#name}.part`;
  }
}

/** The octets of a body; a damaged file throws DamagedBodyError before its last octets. */
export function readBody(
  options: Pick<BodyOptions, "directory" | "onDamaged">,
  body: Body,
): AsyncIterable<Uint8Array> {
  return body.kind === "inline" ? once(body.bytes) : readFile(options, body);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}

async function* readFile(
  options: Pick<BodyOptions, "directory" | "onDamaged">,
  body: Body & { kind: "file" },
): AsyncGenerator<Uint8Array> {
  try {
    const checksum = checksumIn(body.name);
    let size = 0;
    let sum = 0;
    for await (const chunk of createReadStream(join(options.directory, body.name))) {
      size += chunk.length;
      sum = crc32(chunk, sum);
      // The last octets are held back until the whole is known to be sound.
      if (size >= body.size && (size > body.size || sum !== checksum)) {
        throw new DamagedBodyError(body.name, "its octets are not those that were written");
      }
      yield chunk;
    }
    if (size < body.size) throw new DamagedBodyError(body.name, `it has ${size} of ${body.size} octets`);
  } catch (cause) {
    const error = damaged(body.name, cause);
    if (error instanceof DamagedBodyError) options.onDamaged(error);
    throw error;
  }
}

async function checkFile(directory: string, body: Body): Promise<void> {
  if (body.kind === "inline") return;
  checksumIn(body.name);
  const found = await stat(join(directory, body.name)).catch((cause: unknown) => {
    throw damaged(body.name, cause);
  });
  if (!found.isFile() || found.size !== body.size) {
    throw new DamagedBodyError(body.name, `it has ${found.size} of ${body.size} octets`);
  }
}

function checksumIn(file: string): number {
  const match = FILE_NAME.exec(file);
  if (match === null) throw new DamagedBodyError(file, "no such name is ever made");
  return Number.parseInt(match[2] ?? "", 16);
}

function damaged(file: string, cause: unknown): unknown {
  const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
  return missing ? new DamagedBodyError(file, "it is missing", { cause }) : cause;
}

/** Flushes a folder. Those who wait together share one flush, which began after each of them asked. */
function shareFlush(directory: string): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = () => {
    running = flushFolder(directory).finally(() => {
      running = undefined;
    });
    return running;
  };
  return () => {
    if (running === undefined) return start();
    next ??= running
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return start();
      });
    return next;
  };
}
