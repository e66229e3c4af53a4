/**
 * YAML text to plain values that remember their lines.
 *
 * In: the text of one file. Out: its documents, and a fault for each document that is no YAML; the others are still read.
 * Bounded: nesting, size of the text, and what aliases expand to ("billion laughs").
 *
 * @module
 */
import * as yaml from "js-yaml";

export type FieldPath = readonly (string | number)[];

export interface YamlDocument {
  readonly value: unknown;
  /** Line of the field, or of the nearest one above it that is written down. Lines count from 1. */
  lineOf(path: FieldPath): number;
  /** Keys that stand twice. */
  readonly faults: readonly YamlFault[];
}

export interface YamlFault {
  readonly line: number;
  readonly path: FieldPath;
  readonly reason: string;
}

export interface YamlSource {
  readonly documents: readonly YamlDocument[];
  /** Documents that could not be read at all. */
  readonly faults: readonly YamlFault[];
}

export const MAX_FILE_OCTETS = 10 * 2 ** 20;
const MAX_DEPTH = 64;
/** Nodes that all aliases of a document may stand for together. */
const MAX_ALIASED_NODES = 100_000;

export function readYaml(text: string): YamlSource {
  if (Buffer.byteLength(text) > MAX_FILE_OCTETS) {
    return { documents: [], faults: [{ line: 1, path: [], reason: "the file is larger than 10 MiB" }] };
  }
  const documents: YamlDocument[] = [];
  const faults: YamlFault[] = [];
  for (const piece of splitDocuments(text)) {
    try {
      readDocument(piece, documents);
    } catch (error) {
      faults.push(syntaxFault(error, piece));
    }
  }
  return { documents, faults };
}

interface Piece {
  readonly text: string;
  /** Line of its first character. */
  readonly line: number;
}

/** A line that begins with --- is a document marker wherever it stands (YAML 1.2 §9.1.2), so a broken document ends there. */
function splitDocuments(text: string): Piece[] {
  let line = 1;
  return text.split(/^(?=---(?:[ \t\r\n]|$))/m).map((piece) => {
    const first = line;
    line += piece.split("\n").length - 1;
    return { text: piece, line: first };
  });
}

function readDocument(piece: Piece, documents: YamlDocument[]): void {
  const events = yaml.parseEvents(piece.text, { maxDepth: MAX_DEPTH });
  let start = 0;
  let depth = 0;
  for (const [index, event] of events.entries()) {
    if (event.type === yaml.EVENT_ID.POP) depth -= 1;
    else if (event.type !== yaml.EVENT_ID.SCALAR && event.type !== yaml.EVENT_ID.ALIAS) depth += 1;
    if (depth > 0) continue;
    const own = events.slice(start, index + 1);
    start = index + 1;
    const faults: YamlFault[] = [];
    const root = new LineReader(piece, faults).read(own);
    const [value] = yaml.constructFromEvents(own, { source: piece.text, json: true });
    documents.push({ value, lineOf: (path) => lineAt(root, path), faults });
  }
}

function syntaxFault(error: unknown, piece: Piece): YamlFault {
  if (!(error instanceof yaml.YAMLException)) throw error;
  // What is missing at the end of a document is missing on its last line, not on the marker after it.
  const last = piece.text.trimEnd().split("\n").length - 1;
  const line = piece.line + Math.min(error.mark?.line ?? 0, last);
  return { line, path: [], reason: `YAML: ${error.reason}` };
}

interface Lines {
  readonly line: number;
  /** Nodes of the subtree. */
  size: number;
  readonly children: Map<string | number, Lines>;
}

function startOf(event: yaml.Event): number {
  if ("start" in event) return event.start;
  return "anchorStart" in event ? event.anchorStart : 0;
}

/** Scalars are most of the nodes: they share one empty map, which nobody adds to. */
const CHILDLESS: Map<string | number, Lines> = new Map();

function lineAt(root: Lines, path: FieldPath): number {
  let node = root;
  for (const step of path) {
    const child = node.children.get(step);
    if (child === undefined) break;
    node = child;
  }
  return node.line;
}

/** Walks the events of one document beside js-yaml's own construction: lines, duplicate keys, bounds of aliases. */
class LineReader {
  readonly #piece: Piece;
  readonly #faults: YamlFault[];
  readonly #anchors = new Map<string, Lines>();
  #events: readonly yaml.Event[] = [];
  #next = 0;
  #offset = 0;
  #line: number;
  #aliased = 0;

  constructor(piece: Piece, faults: YamlFault[]) {
    this.#piece = piece;
    this.#faults = faults;
    this.#line = piece.line;
  }

  read(events: readonly yaml.Event[]): Lines {
    this.#events = events;
    this.#next = 1;
    return this.#node([], undefined);
  }

  /** `keyLine`: a mapping's value belongs to the line of its key. */
  #node(path: FieldPath, keyLine: number | undefined): Lines {
    const event = this.#events[this.#next++];
    if (event === undefined || event.type === yaml.EVENT_ID.POP || event.type === yaml.EVENT_ID.DOCUMENT) {
      this.#next -= 1;
      return { line: this.#line, size: 1, children: CHILDLESS };
    }
    if (event.type === yaml.EVENT_ID.ALIAS) return this.#alias(event, keyLine);
    const start = event.type === yaml.EVENT_ID.SCALAR ? event.valueStart : event.start;
    const here = this.#advance(start);
    const node: Lines = {
      line: keyLine ?? here,
      size: 1,
      children: event.type === yaml.EVENT_ID.SCALAR ? CHILDLESS : new Map(),
    };
    if (event.type === yaml.EVENT_ID.SEQUENCE) this.#items(node, path);
    if (event.type === yaml.EVENT_ID.MAPPING) this.#pairs(node, path);
    if (event.anchorStart >= 0) {
      this.#anchors.set(this.#piece.text.slice(event.anchorStart, event.anchorEnd), node);
    }
    return node;
  }

  #items(node: Lines, path: FieldPath): void {
    for (let index = 0; !this.#atEnd(); index++)
      this.#adopt(node, index, this.#node([...path, index], undefined));
    this.#next += 1;
  }

  #pairs(node: Lines, path: FieldPath): void {
    while (!this.#atEnd()) {
      const [key, line] = this.#key();
      const value = this.#node([...path, key], line);
      if (node.children.has(key)) {
        this.#faults.push({
          line,
          path: [...path, key],
          reason: "stands twice in the same object",
        });
      }
      this.#adopt(node, key, value);
    }
    this.#next += 1;
  }

  #key(): [key: string, line: number] {
    const event = this.#events[this.#next];
    if (event?.type !== yaml.EVENT_ID.SCALAR) {
      return this.#fail(event === undefined ? this.#offset : startOf(event), "a key must be a plain word");
    }
    const { line } = this.#node([], undefined);
    return [yaml.getScalarValue(this.#piece.text, event), line];
  }

  #adopt(node: Lines, step: string | number, child: Lines): void {
    node.children.set(step, child);
    node.size += child.size;
  }

  #alias({ anchorStart, anchorEnd }: yaml.AliasEvent, keyLine: number | undefined): Lines {
    const line = this.#advance(anchorStart);
    const name = this.#piece.text.slice(anchorStart, anchorEnd);
    const target = this.#anchors.get(name);
    if (target === undefined) this.#fail(anchorStart, `alias *${name} has no anchor before it`);
    this.#aliased += target.size;
    if (this.#aliased > MAX_ALIASED_NODES) {
      this.#fail(anchorStart, `aliases stand for more than ${MAX_ALIASED_NODES} values`);
    }
    return { line: keyLine ?? line, size: target.size, children: target.children };
  }

  #fail(offset: number, reason: string): never {
    return yaml.YAMLException.throwAt(this.#piece.text, offset, reason);
  }

  #atEnd(): boolean {
    const event = this.#events[this.#next];
    return event === undefined || event.type === yaml.EVENT_ID.POP;
  }

  /** Offsets only grow, so each character is looked at once. -1: an empty value, which has no place of its own. */
  #advance(offset: number): number {
    for (; this.#offset < offset; this.#offset++) {
      if (this.#piece.text.charCodeAt(this.#offset) === 10) this.#line += 1;
    }
    return this.#line;
  }
}
