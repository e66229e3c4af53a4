/**
 * Bodies: the octets of messages, in memory up to the inline limit; beyond it in a segment shared with others,
 * and large ones in a file of their own (body-writer.ts chooses).
 *
 * Octets and names are flushed before finish() resolves: a row never names what is not whole on disk. Names
 * are made here, and a name that was not is never opened. What no row names is swept when the queue opens.
 *
 * @module
 */
import { mkdir, readdir, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SteadyMap, SteadySet } from "../../lib/steady-map.ts";
import type { Body } from "../../mail/message.ts";
import { BodyFile } from "./body-file.ts";
import { type BodyPlace, parseBodyName, parseSegmentFileName, segmentFileName } from "./body-name.ts";
import { asDamage, DamagedBodyError, eachOf, placeOf, readBody } from "./body-read.ts";
import { createBodyWriter, newLoan, type Places } from "./body-writer.ts";
import { flushFolder, sharedFlush } from "./flush-folder.ts";
import { FreshBodies } from "./fresh-bodies.ts";
import type { BodyWriter } from "./mod.ts";
import { Segments } from "./segments.ts";

export { DamagedBodyError, readBody } from "./body-read.ts";

export interface Bodies {
  /** Bodies of at most so many octets lie in rows. */
  readonly inlineLimit: number;
  writer(): BodyWriter;
  read(body: Body): AsyncIterable<Uint8Array>;
  /** Throws DamagedBodyError when a file is missing or too short. Its octets are checked as they are read. */
  check(body: Body): Promise<void>;
  /** False: the body, or what it stands in, is gone. */
  holds(body: Body): boolean;
  /** A row names this body from now on: discard() leaves it alone. */
  claim(body: Body): void;
  /** Removes bodies that no row names any more. */
  remove(names: readonly string[]): void;
  /** Removes a finished body that no row ever named. */
  discard(body: Body): void;
  /** Octets on disk. */
  size(): number;
  /** Waits for what is being written. */
  close(): Promise<void>;
}

export interface BodyOptions {
  readonly directory: string;
  readonly inlineLimit: number;
  readonly segmentOctets?: number;
  readonly deadOctets?: number;
  /** Called when reading finds a damaged file. */
  onDamaged(error: DamagedBodyError): void;
  /** Called when a file cannot be written. */
  onFault(error: Error): void;
}

/** Opens the folder and sweeps out what no row names: bodies of messages that were never accepted, or are gone. */
export async function openBodies(
  options: BodyOptions,
  named: readonly { readonly name: string; readonly size: number }[],
): Promise<Bodies> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  await flushFolder(dirname(options.directory));
  const room = new BodyRoom(options);
  await room.find(named);
  return room;
}

class BodyRoom implements Bodies {
  readonly inlineLimit: number;
  readonly #options: BodyOptions;
  readonly #segments: Segments;
  readonly #places: Places;
  readonly #fresh = new FreshBodies();
  /** Bodies in files of their own, and their octets. */
  readonly #files = new SteadyMap<number>();
  #fileOctets = 0;
  /** Finished, and no row names them yet. */
  readonly #unclaimed = new SteadySet();

  constructor(options: BodyOptions) {
    const { directory, inlineLimit, onFault } = options;
    const flush = sharedFlush(directory);
    this.inlineLimit = inlineLimit;
    this.#options = options;
    this.#segments = new Segments({
      ...options,
      flushFolder: flush,
      onMoved: ({ name, size }) => this.#addFile(name, size),
    });
    this.#places = {
      inlineLimit,
      onFault,
      loan: newLoan(),
      newFile: () => new BodyFile(directory, flush),
      toSegment: async (body) => {
        const name = await this.#segments.append(body);
        this.#fresh.add(name, body.pieces, body.size);
        this.#unclaimed.add(name);
        return name;
      },
      finished: (name, size) => {
        this.#addFile(name, size);
        this.#unclaimed.add(name);
      },
      unwanted: (name) => this.#remove(name),
    };
  }

  /** Takes note of what rows name, and sweeps out the rest. */
  async find(named: readonly { readonly name: string; readonly size: number }[]): Promise<void> {
    const { directory } = this.#options;
    const entries = await readdir(directory);
    const there = new Set(entries);
    const bySegment = new Map<string, BodyPlace[]>();
    for (const { name, size } of named) {
      const place = parseBodyName(name);
      if (place?.segment !== undefined && there.has(segmentFileName(place.segment))) {
        const bodies = bySegment.get(place.segment);
        if (bodies === undefined) bySegment.set(place.segment, [place]);
        else bodies.push(place);
      } else this.#addFile(name, size);
    }
    for (const [id, bodies] of bySegment) {
      this.#segments.adopt(id, (await stat(join(directory, segmentFileName(id)))).size, bodies);
    }
    for (const file of entries) {
      const isNamed = this.#files.has(file) || bySegment.has(parseSegmentFileName(file) ?? "");
      if (!isNamed) await unlink(join(directory, file));
    }
  }

  writer(): BodyWriter {
    return createBodyWriter(this.#places);
  }

  read(body: Body): AsyncIterable<Uint8Array> {
    const fresh = body.kind === "file" ? this.#fresh.get(body.name) : undefined;
    return fresh === undefined ? readBody(this.#options, body) : eachOf(fresh);
  }

  async check(body: Body): Promise<void> {
    if (body.kind === "inline" || this.#fresh.get(body.name) !== undefined) return;
    const place = placeOf(body);
    const segmentLength = this.#segments.lengthAround(place);
    if (segmentLength === undefined) await this.#checkFile(place);
    else if (place.offset + place.size > segmentLength) {
      const octets = Math.max(0, segmentLength - place.offset);
      throw new DamagedBodyError(place.name, `it has ${octets} of ${place.size} octets`);
    }
  }

  holds(body: Body): boolean {
    if (body.kind === "inline" || this.#files.has(body.name)) return true;
    return this.#segments.lengthAround(placeOf(body)) !== undefined;
  }

  claim(body: Body): void {
    if (body.kind === "file") this.#unclaimed.delete(body.name);
  }

  remove(names: readonly string[]): void {
    for (const name of names) this.#remove(name);
  }

  discard(body: Body): void {
    if (body.kind === "file" && this.#unclaimed.has(body.name)) this.#remove(body.name);
  }

  size(): number {
    return this.#fileOctets + this.#segments.size();
  }

  async close(): Promise<void> {
    await this.#segments.close();
  }

  #remove(name: string): void {
    this.#unclaimed.delete(name);
    this.#fresh.delete(name);
    const size = this.#files.get(name);
    if (size === undefined) {
      this.#segments.drop(name);
      return;
    }
    this.#files.delete(name);
    this.#fileOctets -= size;
    // Swept at the next opening if it stays.
    if (parseBodyName(name) !== undefined) unlink(join(this.#options.directory, name)).catch(() => undefined);
  }

  #addFile(name: string, size: number): void {
    this.#files.set(name, size);
    this.#fileOctets += size;
  }

  async #checkFile({ name, size }: BodyPlace): Promise<void> {
    const found = await stat(join(this.#options.directory, name)).catch((cause: unknown) => {
      throw asDamage(name, cause);
    });
    if (!found.isFile() || found.size !== size) {
      throw new DamagedBodyError(name, `it has ${found.size} of ${size} octets`);
    }
  }
}
