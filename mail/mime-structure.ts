/**
 * MIME structure: splits the octets of a body into entities as they pass (RFC 2046 §5.1, §5.2.1).
 *
 * In: the top header, then body octets in pieces of any size. Out: events in order, with offsets into the body.
 * Scanning and editing both stand on this one reader, so that they never disagree about where a part is.
 * Holds one header and a few octets, whatever comes. Unfinished multiparts end where an outer one goes on.
 *
 * @module
 */
import { type HeaderField, parseHeader } from "./header.ts";
import { type Delimiter, delimiterTable, MAX_DELIMITER_LINE, matchDelimiter } from "./mime-delimiter.ts";
import { type ContentFields, contentFields } from "./mime-fields.ts";

export interface Entity {
  /** Index path in the tree: "1.2"; "" for a multipart that is the message itself. */
  readonly path: string;
  readonly kind: "leaf" | "multipart" | "message";
  /** Declared type, or the default of its place (RFC 2046 §5.1.5). */
  readonly contentType: string;
  readonly fields: ContentFields;
  readonly header: readonly HeaderField[];
  readonly parent: Entity | undefined;
  /** Offsets into the body; the top entity's header is outside: both 0. */
  readonly headerStart: number;
  readonly bodyStart: number;
}

export interface StructureEvents {
  open(entity: Entity): void;
  /** Octets of a leaf, still in their transfer encoding. */
  content?(leaf: Entity, octets: Uint8Array): void;
  /** `bodyEnd` is where the entity's body ends: before the line break that belongs to the boundary. */
  close(entity: Entity, bodyEnd: number): void;
}

export interface StructureLimits {
  readonly maxParts: number;
  readonly maxDepth: number;
}

interface Container {
  readonly entity: Entity;
  /** Paths of children begin with it. */
  readonly prefix: string;
  children: number;
}

/** A header of one part: more is not kept, and the message is called too complex. */
const MAX_HEADER = 256 * 1024;
const NOTHING = Buffer.alloc(0);
const LF = 0x0a;
const CR = 0x0d;

export class StructureReader {
  readonly #events: StructureEvents;
  readonly #limits: StructureLimits;
  readonly #containers: Container[] = [];
  #delimiters: ReadonlyMap<string, Delimiter> = new Map();
  #leaf: Entity | undefined;
  #state: "header" | "content" | "between" = "between";
  #carry: Buffer = NOTHING;
  /** Offset of the next octet that is not consumed. */
  #offset = 0;
  #atLineStart = true;
  #header = "";
  #headerStart = 0;
  #parts = 0;
  #tooComplex = false;
  #stopped = false;

  constructor(header: readonly HeaderField[], limits: StructureLimits, events: StructureEvents) {
    this.#limits = limits;
    this.#events = events;
    this.#open(header);
  }

  get tooComplex(): boolean {
    return this.#tooComplex;
  }

  /** True when there are more parts than the limit: nothing more is read. */
  get stopped(): boolean {
    return this.#stopped;
  }

  write(chunk: Uint8Array): void {
    if (this.#stopped) return;
    const rest = this.#consume(this.#joined(chunk), false);
    // A copy: the caller may reuse its buffer.
    this.#carry = rest.length === 0 ? NOTHING : Buffer.from(rest);
  }

  /** No octets follow these. */
  end(last: Uint8Array = NOTHING): void {
    if (!this.#stopped) {
      this.#consume(this.#joined(last), true);
      this.#endHeaders();
    }
    this.#closeDownTo(0, this.#offset);
  }

  /** What waits, and the chunk behind it. */
  #joined(chunk: Uint8Array): Buffer {
    if (chunk.length === 0) return this.#carry;
    const octets = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    return this.#carry.length === 0 ? octets : Buffer.concat([this.#carry, octets]);
  }

  /** Consumes what can be judged; the rest waits for more. */
  #consume(buffer: Buffer, last: boolean): Buffer {
    let rest = buffer;
    for (let before = -1; rest.length !== before && rest.length > 0 && !this.#stopped; ) {
      before = rest.length;
      rest = this.#state === "header" ? this.#headerLine(rest, last) : this.#content(rest, last);
    }
    return rest;
  }

  #headerLine(buffer: Buffer, last: boolean): Buffer {
    const lf = buffer.indexOf(LF);
    if (lf < 0 && !last && buffer.length < MAX_HEADER) return buffer;
    const end = lf < 0 ? buffer.length : lf + 1;
    const line = buffer.toString("latin1", 0, end);
    if (this.#delimiter(line)) return this.#passDelimiter(buffer, 0, end);
    this.#take(end);
    if (line === "\r\n" || line === "\n") this.#endHeader();
    else if (this.#header.length + line.length <= MAX_HEADER) this.#header += line;
    else this.#tooComplex = true;
    return buffer.subarray(end);
  }

  /** Content up to the next delimiter, or as far as no delimiter can begin. */
  #content(buffer: Buffer, last: boolean): Buffer {
    if (this.#delimiters.size === 0) return this.#emit(buffer, buffer.length + 2);
    for (let start = this.#candidate(buffer, -1); start >= 0; ) {
      const lf = buffer.indexOf(LF, start);
      if (lf < 0 && !last && buffer.length - start < MAX_DELIMITER_LINE) return this.#emit(buffer, start);
      const end = lf < 0 ? buffer.length : lf + 1;
      if (end - start <= MAX_DELIMITER_LINE && this.#delimiter(buffer.toString("latin1", start, end))) {
        return this.#passDelimiter(buffer, start, end);
      }
      start = lf < 0 ? -1 : this.#candidate(buffer, lf);
    }
    // "\r\n-" may be the first half of a delimiter.
    return this.#emit(buffer, last ? buffer.length + 2 : buffer.length - 1);
  }

  /** Start of the next line that begins with "--", or may when more octets come; -1: none. */
  #candidate(buffer: Buffer, from: number): number {
    if (from < 0 && this.#atLineStart && "--".startsWith(buffer.toString("latin1", 0, 2))) return 0;
    return buffer.indexOf("\n--", Math.max(from, 0), "latin1") + 1 || -1;
  }

  /** Emits the content before `lineStart`, but for the line break that may belong to a delimiter. */
  #emit(buffer: Buffer, lineStart: number): Buffer {
    const end = Math.min(buffer.length, Math.max(0, lineStart - 2));
    if (end === 0) return buffer;
    this.#give(buffer.subarray(0, end));
    this.#take(end);
    this.#atLineStart = false;
    return buffer.subarray(end);
  }

  #give(octets: Buffer): void {
    if (this.#leaf !== undefined && this.#state === "content" && octets.length > 0) {
      this.#events.content?.(this.#leaf, octets);
    }
  }

  /** Ends what the delimiter at start..end ends, and opens the next part unless it is a closing one. */
  #passDelimiter(buffer: Buffer, start: number, end: number): Buffer {
    const delimiter = this.#delimiter(buffer.toString("latin1", start, end));
    this.#endHeaders();
    // RFC 2046 §5.1.1: the line break before a delimiter belongs to it.
    let bodyEnd = start;
    if (bodyEnd > 0 && buffer[bodyEnd - 1] === LF) bodyEnd -= buffer[bodyEnd - 2] === CR ? 2 : 1;
    this.#give(buffer.subarray(0, bodyEnd));
    const at = this.#offset + bodyEnd;
    this.#take(end);
    if (delimiter === undefined) return buffer.subarray(end);
    this.#closeDownTo(delimiter.depth + 1, at);
    this.#startHeader(delimiter.closing ? "between" : "header");
    return buffer.subarray(end);
  }

  #startHeader(state: "between" | "header"): void {
    this.#state = state;
    this.#atLineStart = true;
    this.#header = "";
    this.#headerStart = this.#offset;
  }

  /** A header that ends without blank line; an attached message that ends so is an empty one. */
  #endHeaders(): void {
    while (this.#state === "header" && !this.#stopped) this.#endHeader();
  }

  #endHeader(): void {
    const block = this.#header;
    this.#header = "";
    this.#open(parseHeader(block.replace(/\r?\n/g, "\r\n")));
  }

  #delimiter(line: string): Delimiter | undefined {
    return matchDelimiter(this.#delimiters, line);
  }

  #containersChanged(): void {
    this.#delimiters = delimiterTable(
      this.#containers.map(({ entity }) => (entity.kind === "message" ? [] : entity.fields.boundaries)),
    );
  }

  #open(header: readonly HeaderField[]): void {
    const parent = this.#containers.at(-1);
    if (++this.#parts > this.#limits.maxParts) {
      this.#tooComplex = true;
      this.#stopped = true;
      return;
    }
    const entity = this.#entity(header, parent);
    this.#events.open(entity);
    if (entity.kind === "leaf") {
      this.#leaf = entity;
      this.#state = "content";
      this.#atLineStart = true;
      return;
    }
    const prefix = entity.path === "" ? "" : `${entity.path}.`;
    this.#containers.push({ entity, prefix, children: 0 });
    this.#containersChanged();
    this.#startHeader(entity.kind === "message" ? "header" : "between");
  }

  #entity(header: readonly HeaderField[], parent: Container | undefined): Entity {
    const fields = contentFields(header);
    const inDigest = parent?.entity.contentType === "multipart/digest";
    const contentType = fields.type ?? (inDigest ? "message/rfc822" : "text/plain");
    const deep = this.#containers.length >= this.#limits.maxDepth;
    const declared = kindOf(contentType, fields);
    if (deep && declared !== "leaf") this.#tooComplex = true;
    const kind = deep ? "leaf" : declared;
    return {
      path: this.#path(parent, kind),
      kind,
      contentType,
      fields,
      header,
      parent: parent?.entity,
      headerStart: this.#headerStart,
      bodyStart: this.#offset,
    };
  }

  /** As IMAP counts (RFC 9051 §6.4.5.1): a multipart that is a whole message adds no number of its own. */
  #path(parent: Container | undefined, kind: Entity["kind"]): string {
    if (parent === undefined) return kind === "multipart" ? "" : "1";
    if (parent.entity.kind === "message" && kind === "multipart") return parent.entity.path;
    parent.children++;
    return `${parent.prefix}${parent.children}`;
  }

  #closeDownTo(depth: number, at: number): void {
    if (this.#leaf !== undefined) this.#events.close(this.#leaf, Math.max(at, this.#leaf.bodyStart));
    this.#leaf = undefined;
    if (this.#containers.length <= depth) return;
    for (const { entity } of this.#containers.splice(depth).reverse()) {
      this.#events.close(entity, Math.max(at, entity.bodyStart));
    }
    this.#containersChanged();
  }

  #take(octets: number): void {
    this.#offset += octets;
  }
}

function kindOf(contentType: string, { boundaries, encoding }: ContentFields): Entity["kind"] {
  if (contentType.startsWith("multipart/") && boundaries.length > 0) return "multipart";
  // RFC 2046 §5.2.1 forbids an encoded message/rfc822: where one is met, it is no text to read a structure from.
  const readable = encoding !== "base64" && encoding !== "quoted-printable";
  return readable && (contentType === "message/rfc822" || contentType === "message/global")
    ? "message"
    : "leaf";
}
