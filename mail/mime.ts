/**
 * MIME structure of a message (RFC 2045, 2046), read in one pass over the octets.
 *
 * In: header block and body chunks. Out: a summary that agents and rules judge by.
 * Limits hold: a message with more parts or deeper nesting is `tooComplex`, never a crash.
 *
 * @module
 */
import type { HeaderField } from "./header.ts";
import { LeafReading, type OctetSink, TextCollector } from "./mime-leaf.ts";
import { type Entity, type StructureEvents, StructureReader } from "./mime-structure.ts";

/** One leaf part that is shown or attached. */
export interface MimePart {
  /** Declared type in lower case, "text/plain" when none is declared. */
  readonly contentType: string;
  /** Type by the first octets of the decoded content ("application/x-msdownload"), undefined when unknown. */
  readonly sniffedType: string | undefined;
  /** Decoded file name (RFC 2231, RFC 2047), undefined when there is none. */
  readonly fileName: string | undefined;
  /** Further names the part was given; some client shows one of them, so rules judge them too. */
  readonly otherNames?: readonly string[];
  /** True for Content-Disposition attachment, a named part, or a part that is neither text nor multipart. */
  readonly attachment: boolean;
  /** Octets after decoding the transfer encoding. */
  readonly size: number;
  readonly charset: string | undefined;
  /** Index path in the tree, "1.2"; names the part for attachment removal. */
  readonly path: string;
}

export interface MimeSummary {
  readonly parts: readonly MimePart[];
  /** Decoded text of text/plain and text/html parts (tags removed) that are no attachments; at most `maxText` chars. */
  readonly text: string;
  /** Characters of the text; to ask for the text itself may be to make it. */
  readonly textLength: number;
  /** More parts or deeper than the limits. */
  readonly tooComplex: boolean;
  /** The top-level type, e.g. "multipart/signed". */
  readonly contentType: string;
}

export interface MimeLimits {
  readonly maxParts: number;
  readonly maxDepth: number;
  /** Characters of text kept. */
  readonly maxText: number;
}

/**
 * Reads a message once. `chunks` are the octets after the header block; they are not read further than needed. Nobody
 * may write over them while the summary is in use: its text is made of them when it is asked for.
 */
export async function scanMime(
  header: readonly HeaderField[],
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  limits: MimeLimits,
): Promise<MimeSummary> {
  const scan = new Scan(limits);
  const reader = scan.reader(header, { pathPrefix: "", depth: 0 });
  for await (const chunk of chunks) {
    reader.write(chunk);
    if (reader.stopped || scan.tooComplex) break;
  }
  reader.end();
  return scan.summary(reader.tooComplex);
}

/** The same for a body that is in memory, and stays as it is: at once. */
export function scanWholeMime(
  header: readonly HeaderField[],
  body: Uint8Array,
  limits: MimeLimits,
): MimeSummary {
  const scan = new Scan(limits);
  const reader = scan.reader(header, { pathPrefix: "", depth: 0 });
  reader.end(body);
  return scan.summary(reader.tooComplex);
}

type Draft = { -readonly [Key in keyof MimePart]: MimePart[Key] };

/** Where a reader stands in the whole message: 0 and "" for the message itself. */
interface Place {
  /** Replaces the first number of every path. */
  readonly pathPrefix: string;
  readonly depth: number;
}

class Scan {
  readonly #limits: MimeLimits;
  readonly #parts: Draft[] = [];
  readonly #text: TextCollector;
  #contentType = "";
  /** Of a message inside an encoded part. */
  tooComplex = false;

  constructor(limits: MimeLimits) {
    this.#limits = limits;
    this.#text = new TextCollector(limits.maxText);
  }

  reader(header: readonly HeaderField[], place: Place): StructureReader {
    const { maxParts, maxDepth } = this.#limits;
    const limits = {
      maxParts: maxParts - this.#parts.length,
      maxDepth: maxDepth - place.depth,
    };
    return new StructureReader(header, limits, this.#events(place));
  }

  summary(tooComplex: boolean): MimeSummary {
    const text = this.#text;
    return {
      parts: this.#parts,
      get text() {
        return text.text();
      },
      textLength: text.length,
      tooComplex: tooComplex || this.tooComplex || this.#parts.length > this.#limits.maxParts,
      contentType: this.#contentType,
    };
  }

  #events(place: Place): StructureEvents {
    const drafts = new Map<Entity, Draft>();
    let reading: LeafReading | undefined;
    return {
      open: (entity) => {
        if (this.#contentType === "") this.#contentType = entity.contentType;
        const isWrapper = place.pathPrefix !== "" && entity.parent === undefined;
        if (entity.kind === "multipart" || isWrapper) return;
        const draft = draftPart(entity, place.pathPrefix);
        drafts.set(entity, draft);
        this.#parts.push(draft);
        if (entity.kind === "leaf") reading = new LeafReading(entity, this.#sink(entity, draft, place));
      },
      content: (_, octets) => reading?.write(octets),
      close: (entity, bodyEnd) => {
        const draft = drafts.get(entity);
        drafts.delete(entity);
        if (draft === undefined) return;
        if (entity.kind === "leaf") Object.assign(draft, reading?.end());
        else draft.size = bodyEnd - entity.bodyStart;
      },
    };
  }

  #sink(leaf: Entity, draft: Draft, place: Place): OctetSink | undefined {
    // Encoded though RFC 2046 §5.2.1 forbids it: clients open it, so its attachments count.
    if (/^message\/(?:rfc822|global)$/.test(leaf.contentType)) return this.#nested(leaf, draft, place);
    const attached = draft.attachment || place.pathPrefix !== "" || isInsideMessage(leaf);
    return attached ? undefined : this.#text.sink(leaf);
  }

  #nested(leaf: Entity, draft: Draft, place: Place): OctetSink {
    const wrapper = [{ name: "Content-Type", raw: "Content-Type: message/rfc822\r\n" }];
    const depth = place.depth + depthOf(leaf) + 1;
    const reader = this.reader(wrapper, { pathPrefix: draft.path, depth });
    return {
      write: (octets) => reader.write(octets),
      end: () => {
        reader.end();
        if (reader.tooComplex) this.tooComplex = true;
      },
    };
  }
}

function draftPart(entity: Entity, pathPrefix: string): Draft {
  const { fields, contentType, kind } = entity;
  const [fileName, ...otherNames] = fields.fileNames;
  const isText = contentType.startsWith("text/") || contentType.startsWith("multipart/");
  return {
    contentType,
    sniffedType: undefined,
    fileName,
    ...(otherNames.length > 0 ? { otherNames } : {}),
    attachment:
      fields.disposition === "attachment" || fileName !== undefined || kind === "message" || !isText,
    size: 0,
    charset: fields.charset,
    path: pathPrefix === "" ? entity.path : pathPrefix + entity.path.slice(1),
  };
}

function isInsideMessage({ parent }: Entity): boolean {
  for (let entity = parent; entity !== undefined; entity = entity.parent) {
    if (entity.kind === "message") return true;
  }
  return false;
}

function depthOf({ parent }: Entity): number {
  return parent === undefined ? 0 : 1 + depthOf(parent);
}
