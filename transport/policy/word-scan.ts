/**
 * Word scan: finds, in one pass over a text, which of all rules' words and literals it holds (Aho and Corasick, 1975).
 *
 * In: every string that any rule looks for. Out: for a folded text, the strings found, and whether as whole words.
 * Time grows with the text, not with the number of strings. Transitions live in one open-addressing table, so that
 * a hundred thousand strings cost about 30 octets a character.
 *
 * @module
 */
import { isWholeWord } from "./fold.ts";

export interface WordScan {
  readonly size: number;
  /** `text` must be folded (foldText). The sets hold the strings as they were given, folded. */
  scan(text: string): ScanResult;
}

export interface ScanResult {
  /** Found as a whole word. */
  readonly words: ReadonlySet<string>;
  /** Found anywhere. */
  readonly literals: ReadonlySet<string>;
}

const NOTHING: ScanResult = { words: new Set(), literals: new Set() };

/** Builds the automaton; `strings` folded, without the empty string. */
export function createWordScan(strings: Iterable<string>): WordScan {
  const all = [...new Set(strings)].filter((text) => text.length > 0);
  if (all.length === 0) return { size: 0, scan: () => NOTHING };
  const automaton = new Automaton(all);
  return { size: all.length, scan: (text) => automaton.scan(text) };
}

class Automaton {
  readonly #strings: readonly string[];
  /** Open addressing: node and character of a slot, and the child they lead to. Node 0 is the root, so child 0 is empty. */
  readonly #slotNode: Int32Array;
  readonly #slotChar: Uint16Array;
  readonly #slotChild: Int32Array;
  readonly #mask: number;
  readonly #root = new Int32Array(0x10000);
  readonly #fail: Int32Array;
  /** Index of the string that ends at the node, or -1. */
  readonly #ends: Int32Array;
  /** Nearest node on the failure chain where a string ends; 0: none. */
  readonly #nextEnd: Int32Array;

  constructor(strings: readonly string[]) {
    this.#strings = strings;
    const nodes = 1 + strings.reduce((sum, text) => sum + text.length, 0);
    const capacity = 2 ** Math.ceil(Math.log2(nodes * 2));
    this.#mask = capacity - 1;
    this.#slotNode = new Int32Array(capacity);
    this.#slotChar = new Uint16Array(capacity);
    this.#slotChild = new Int32Array(capacity);
    this.#fail = new Int32Array(nodes);
    this.#ends = new Int32Array(nodes).fill(-1);
    this.#nextEnd = new Int32Array(nodes);
    this.#link(this.#insertAll(nodes));
  }

  scan(text: string): ScanResult {
    const words = new Set<string>();
    const literals = new Set<string>();
    let node = 0;
    for (let at = 0; at < text.length; at++) {
      node = this.#step(node, text.charCodeAt(at));
      let end = this.#ends[node] === -1 ? this.#nextEnd[node] : node;
      for (; end !== undefined && end !== 0; end = this.#nextEnd[end]) {
        const found = this.#strings[this.#ends[end] ?? -1] ?? "";
        literals.add(found);
        if (!words.has(found) && isWholeWord(text, at + 1 - found.length, at + 1)) words.add(found);
      }
    }
    return literals.size === 0 ? NOTHING : { words, literals };
  }

  #step(from: number, char: number): number {
    for (let node = from; node !== 0; node = this.#fail[node] ?? 0) {
      const child = this.#child(node, char);
      if (child !== 0) return child;
    }
    return this.#root[char] ?? 0;
  }

  #child(node: number, char: number): number {
    if (node === 0) return this.#root[char] ?? 0;
    for (let slot = this.#hash(node, char); ; slot = (slot + 1) & this.#mask) {
      const child = this.#slotChild[slot] ?? 0;
      if (child === 0 || (this.#slotNode[slot] === node && this.#slotChar[slot] === char)) return child;
    }
  }

  #setChild(node: number, char: number, child: number): void {
    if (node === 0) {
      this.#root[char] = child;
      return;
    }
    let slot = this.#hash(node, char);
    while (this.#slotChild[slot] !== 0) slot = (slot + 1) & this.#mask;
    this.#slotNode[slot] = node;
    this.#slotChar[slot] = char;
    this.#slotChild[slot] = child;
  }

  #hash(node: number, char: number): number {
    const mixed = Math.imul(Math.imul(node, 0x9e3779b1) ^ char, 0x85ebca6b);
    return (mixed ^ (mixed >>> 15)) & this.#mask;
  }

  #insertAll(size: number): Tree {
    const tree: Tree = {
      parent: new Int32Array(size),
      char: new Uint16Array(size),
      depth: new Uint32Array(size),
    };
    let nodes = 1;
    for (const [index, text] of this.#strings.entries()) {
      let node = 0;
      for (let at = 0; at < text.length; at++) {
        const char = text.charCodeAt(at);
        let child = this.#child(node, char);
        if (child === 0) {
          child = nodes++;
          this.#setChild(node, char, child);
          tree.parent[child] = node;
          tree.char[child] = char;
          tree.depth[child] = at + 1;
        }
        node = child;
      }
      this.#ends[node] = index;
    }
    return tree;
  }

  /** Failure links, breadth first: each needs only those of nodes less deep. Children of the root fail to the root. */
  #link({ parent, char, depth }: Tree): void {
    for (const node of byDepth(depth)) {
      if ((depth[node] ?? 0) < 2) continue;
      const fail = this.#step(this.#fail[parent[node] ?? 0] ?? 0, char[node] ?? 0);
      this.#fail[node] = fail;
      this.#nextEnd[node] = this.#ends[fail] === -1 ? (this.#nextEnd[fail] ?? 0) : fail;
    }
  }
}

/** How each node was reached. Depth 0: the root, and nodes that strings in common saved. */
interface Tree {
  readonly parent: Int32Array;
  readonly char: Uint16Array;
  readonly depth: Uint32Array;
}

/** Nodes in the order of their depth (counting sort). */
function byDepth(depth: Uint32Array): Uint32Array {
  const deepest = depth.reduce((a, b) => Math.max(a, b), 0);
  const starts = new Uint32Array(deepest + 2);
  for (const level of depth) starts[level + 1] = (starts[level + 1] ?? 0) + 1;
  for (let level = 1; level < starts.length; level++) {
    starts[level] = (starts[level] ?? 0) + (starts[level - 1] ?? 0);
  }
  const order = new Uint32Array(depth.length);
  for (let node = 0; node < depth.length; node++) {
    const level = depth[node] ?? 0;
    const place = starts[level] ?? 0;
    order[place] = node;
    starts[level] = place + 1;
  }
  return order;
}
