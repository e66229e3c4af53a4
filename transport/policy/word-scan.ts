/**
 * Word scan: finds, in one pass over a text, which of all rules' words and literals it holds (Aho and Corasick, 1975).
 *
 * Strings are only ever added, so that one scan serves the rules of many snapshots: what is found may be more than a
 * rule set looks for. Time grows with the text, not with the number of strings. An added string makes every failure
 * link doubtful; each is found again when a text first comes by its node, which costs less than linking them all.
 *
 * @module
 */
import { complete, type FacetValues, NONE as NO_VALUES } from "./facet-values.ts";
import { FoldedCodes } from "./folded-codes.ts";
import { WordStarts } from "./word-starts.ts";

export interface WordScan {
  readonly size: number;
  /** `text` must be folded (foldText); the empty string and one that is there already change nothing. */
  add(text: string): void;
  /** Looks into `text` folded. What is found are the strings as they were added. */
  scan(text: string): ScanResult;
}

export interface ScanResult {
  /** Found as a whole word. */
  readonly words: FacetValues;
  /** Found anywhere. */
  readonly literals: FacetValues;
}

const NOTHING: ScanResult = { words: NO_VALUES, literals: NO_VALUES };
const FIRST_CAPACITY = 1024;
/** No string ends here; no link is known yet. */
const NONE = -1;

export function createWordScan(): WordScan {
  const automaton = new Automaton();
  return {
    get size() {
      return automaton.size;
    },
    add: (text) => automaton.add(text),
    scan: (text) => automaton.scan(text),
  };
}

/** A trie whose nodes are numbers; 0 is the root, so that 0 also stands for "no child". */
class Automaton {
  readonly #strings: string[] = [];
  /** Of each string, the last scan that found it, and the last that found it as a word. */
  readonly #inScan: number[] = [];
  readonly #wordInScan: number[] = [];
  #scans = 0;
  #nodes = 1;
  /** Open addressing, twice as many slots as nodes may be: the child that its own parent and character lead to. */
  #slots = new Int32Array(FIRST_CAPACITY * 2);
  #parent = new Int32Array(FIRST_CAPACITY);
  #char = new Uint16Array(FIRST_CAPACITY);
  /** Index of the string that ends at the node. */
  #ends = new Int32Array(FIRST_CAPACITY).fill(NONE);
  /** The longest proper suffix of the node that is a node too; holds where #out is known. */
  #fail = new Int32Array(FIRST_CAPACITY);
  /** The node, or the nearest on its failure chain, where a string ends; 0: there is none. */
  #out = new Int32Array(FIRST_CAPACITY);
  /** Children of the root by character: every text comes by here all the time. */
  readonly #root = new Int32Array(0x10000);
  readonly #starts = new WordStarts();
  readonly #folded = new FoldedCodes();
  #linksHold = true;

  get size(): number {
    return this.#strings.length;
  }

  add(text: string): void {
    if (text.length === 0) return;
    let node = 0;
    for (let at = 0; at < text.length; at++) {
      const char = text.charCodeAt(at);
      node = this.#child(node, char) || this.#addChild(node, char);
    }
    if (this.#ends[node] !== NONE) return;
    this.#ends[node] = this.#strings.push(text) - 1;
    this.#inScan.push(0);
    this.#wordInScan.push(0);
    this.#starts.add(text);
    this.#linksHold = false;
  }

  scan(text: string): ScanResult {
    if (this.#strings.length === 0) return NOTHING;
    if (!this.#linksHold) this.#out.fill(NONE, 1);
    this.#linksHold = true;
    const folded = this.#folded;
    folded.read(text);
    const { octets, size } = folded;
    this.#scans++;
    const words: string[] = [];
    const literals: string[] = [];
    let node = 0;
    for (let at = 0; at < size; at++) {
      if (node === 0) {
        at = this.#starts.next(octets, at, size);
        if (at === size) break;
        folded.begin(at);
      }
      at = folded.take(at);
      node = this.#step(node, folded.codes[folded.length - 1] as number);
      let end = this.#out[node] ?? 0;
      if (end === NONE) end = this.#link(node);
      if (end !== 0) this.#collect(end, at, words, literals);
    }
    return literals.length === 0 ? NOTHING : { words: complete(words), literals: complete(literals) };
  }

  /** All strings that end at the place, the longest first, each once in a scan. */
  #collect(longest: number, at: number, words: string[], literals: string[]): void {
    for (let node = longest; node !== 0; node = this.#out[this.#fail[node] ?? 0] ?? 0) {
      const place = this.#ends[node] ?? NONE;
      const found = this.#strings[place] ?? "";
      if (this.#inScan[place] !== this.#scans) literals.push(found);
      this.#inScan[place] = this.#scans;
      if (this.#wordInScan[place] === this.#scans) continue;
      if (!this.#folded.endWithWord(found.length, at)) continue;
      this.#wordInScan[place] = this.#scans;
      words.push(found);
    }
  }

  /** Links of `from`, and so of its whole failure chain, must be known. */
  #step(from: number, char: number): number {
    for (let node = from; node !== 0; node = this.#fail[node] ?? 0) {
      const child = this.#child(node, char);
      if (child !== 0) return child;
    }
    return this.#root[char] ?? 0;
  }

  /** The parent is linked already: a node is only ever reached through it. As deep at most as the longest string. */
  #link(node: number): number {
    const parent = this.#parent[node] ?? 0;
    const fail = parent === 0 ? 0 : this.#step(this.#fail[parent] ?? 0, this.#char[node] ?? 0);
    const further = this.#out[fail] ?? 0;
    const nearest = further === NONE ? this.#link(fail) : further;
    const out = this.#ends[node] === NONE ? nearest : node;
    this.#fail[node] = fail;
    this.#out[node] = out;
    return out;
  }

  #child(node: number, char: number): number {
    if (node === 0) return this.#root[char] ?? 0;
    const mask = this.#slots.length - 1;
    for (let slot = hash(node, char) & mask; ; slot = (slot + 1) & mask) {
      const child = this.#slots[slot] ?? 0;
      if (child === 0 || (this.#parent[child] === node && this.#char[child] === char)) return child;
    }
  }

  #addChild(node: number, char: number): number {
    if (this.#nodes === this.#parent.length) this.#grow();
    const child = this.#nodes++;
    this.#parent[child] = node;
    this.#char[child] = char;
    if (node === 0) this.#root[char] = child;
    else this.#enter(child);
    return child;
  }

  #enter(child: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash(this.#parent[child] ?? 0, this.#char[child] ?? 0) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = child;
  }

  #grow(): void {
    const capacity = this.#nodes * 2;
    const larger = (old: Int32Array) => {
      const array = new Int32Array(capacity).fill(NONE, old.length);
      array.set(old);
      return array;
    };
    const chars = new Uint16Array(capacity);
    chars.set(this.#char);
    this.#char = chars;
    this.#parent = larger(this.#parent);
    this.#ends = larger(this.#ends);
    this.#fail = larger(this.#fail);
    this.#out = larger(this.#out);
    this.#slots = new Int32Array(capacity * 2);
    for (let child = 1; child < this.#nodes; child++) {
      if (this.#parent[child] !== 0) this.#enter(child);
    }
  }
}

function hash(node: number, char: number): number {
  const mixed = Math.imul(Math.imul(node, 0x9e3779b1) ^ char, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}
