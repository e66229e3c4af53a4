/**
 * View: what rules may know of one working copy of a message, each fact worked out once and only when asked for.
 *
 * A fact notes which aspects of the copy it was worked out from (its stamps, its recipients, single header fields), so
 * that it also serves every other view that is the same in those: a rule that sets X-Seen makes nobody parse the From
 * field again. Facts of texts (which words they hold, whether a pattern matches) live in `texts`.
 *
 * @module
 */
import { type Address, formatAddress } from "../../mail/address.ts";
import { parseAddressList } from "../../mail/address-list.ts";
import { decodeHeaderText } from "../../mail/encoded-word.ts";
import { fieldValue, type HeaderField } from "../../mail/header.ts";
import type { Message, Recipient } from "../../mail/message.ts";
import type { MimeSummary } from "../../mail/mime.ts";
import type { DomainTable } from "../../snapshot/domain-table.ts";
import {
  ALL_ASPECTS,
  ASPECTS,
  aspectOfName,
  aspectsOfHeader,
  compareHeaders,
  HEADER,
  type HeaderChange,
  RECIPIENTS,
  STAMPS,
} from "./aspects.ts";
import { composeText } from "./fold.ts";
import type { TextFacts } from "./text-facts.ts";

/** The part of a copy's state that predicates look at. */
export interface ViewState {
  readonly header: readonly HeaderField[];
  readonly stamps: Readonly<Record<string, string>>;
  /** Everybody who still gets the message, over all of its copies. */
  readonly allRecipients: readonly Recipient[];
}

export interface MessageView extends ViewState {
  readonly message: Message;
  readonly mime: MimeSummary | undefined;
  readonly domains: DomainTable;
  readonly texts: TextFacts;
  /** The view it was made from; undefined: the first one. */
  readonly before: MessageView | undefined;
  /** Aspects in which it differs from `before`. */
  readonly changed: number;
  /** Header fields that `before` does not have, or not there. */
  readonly addedFields: readonly HeaderField[];
  /** The value of `compute`, worked out once for each key; it must come from what this view gives alone. */
  memo<T>(key: object | string, compute: () => T): T;
  /** As memo(), with the aspects that the value was worked out from. */
  fact<T>(key: object | string, compute: () => T): Fact<T>;
  /** True when `state` is what this view shows. */
  shows(state: ViewState): boolean;
  /** The view of another state of the same message; facts are taken over where they hold. */
  next(state: ViewState): MessageView;
  /** Decoded, composed values of all fields of that lower-case name. */
  headerTexts(name: string): readonly string[];
  /** Addresses in all fields of that lower-case name. */
  headerAddresses(name: string): readonly Address[];
}

export interface ViewSource {
  readonly message: Message;
  readonly mime: MimeSummary | undefined;
  readonly domains: DomainTable;
  readonly texts: TextFacts;
}

/** The first view of a message. */
export function createView(source: ViewSource, state: ViewState): MessageView {
  return new View(source, state, undefined);
}

/** An address as text for word and pattern predicates. */
export function addressText(address: Address): string {
  return composeText(formatAddress(address));
}

export interface Fact<T> {
  readonly value: T;
  /** Aspects that it was worked out from. */
  readonly of: number;
}

interface KnownFact extends Fact<unknown> {
  /** Of the view it was worked out for. */
  readonly versions: readonly number[];
  /** Under the same key, for another state. */
  readonly older: KnownFact | undefined;
}

type Facts = Map<object | string, KnownFact>;

/** Shared by all views of a message. Facts of a field have its name as their key. */
interface AllFacts {
  readonly named: Facts;
  readonly texts: Facts;
  readonly addresses: Facts;
}

const NO_TEXTS: readonly string[] = [];
const NO_ADDRESSES: readonly Address[] = [];

class View implements MessageView {
  readonly message: Message;
  readonly mime: MimeSummary | undefined;
  readonly domains: DomainTable;
  readonly texts: TextFacts;
  readonly before: View | undefined;
  readonly changed: number;
  readonly addedFields: readonly HeaderField[];
  readonly #state: ViewState;
  readonly #facts: AllFacts;
  /** Fields of other aspects are not in the header. */
  readonly #present: number;
  /** Of each aspect, the number of the view that first had it so. */
  readonly #versions: readonly number[];
  readonly #count: { views: number };
  /** Aspects read so far by the fact that is being worked out. */
  #reading = 0;

  constructor({ message, mime, domains, texts }: ViewSource, state: ViewState, before: View | undefined) {
    this.message = message;
    this.mime = mime;
    this.domains = domains;
    this.texts = texts;
    this.#state = state;
    this.before = before;
    const { aspects, added } = compareStates(before === undefined ? undefined : before.#state, state);
    this.changed = aspects;
    this.addedFields = added;
    this.#facts =
      before === undefined ? { named: new Map(), texts: new Map(), addresses: new Map() } : before.#facts;
    const isSameHeader = before !== undefined && before.#state.header === state.header;
    this.#present = isSameHeader ? before.#present : aspectsOfHeader(state.header);
    this.#count = before === undefined ? { views: 0 } : before.#count;
    const versions = before === undefined ? new Array<number>(ASPECTS).fill(0) : before.#versions.slice();
    const number = this.#count.views++;
    for (let aspect = 0, rest = this.changed; rest !== 0; aspect++, rest >>>= 1) {
      if ((rest & 1) === 1) versions[aspect] = number;
    }
    this.#versions = versions;
  }

  get header(): readonly HeaderField[] {
    this.#reading |= HEADER;
    return this.#state.header;
  }

  get stamps(): Readonly<Record<string, string>> {
    this.#reading |= STAMPS;
    return this.#state.stamps;
  }

  get allRecipients(): readonly Recipient[] {
    this.#reading |= RECIPIENTS;
    return this.#state.allRecipients;
  }

  shows({ header, stamps, allRecipients }: ViewState): boolean {
    const own = this.#state;
    return own.header === header && own.stamps === stamps && own.allRecipients === allRecipients;
  }

  next(state: ViewState): MessageView {
    return new View(this, state, this);
  }

  memo<T>(key: object | string, compute: () => T): T {
    return this.#fact(this.#facts.named, key, compute).value;
  }

  fact<T>(key: object | string, compute: () => T): Fact<T> {
    return this.#fact(this.#facts.named, key, compute);
  }

  headerTexts(name: string): readonly string[] {
    if (this.#lacks(name)) return NO_TEXTS;
    return this.#fact(this.#facts.texts, name, () =>
      this.#values(name).map((value) => composeText(decodeHeaderText(value))),
    ).value;
  }

  headerAddresses(name: string): readonly Address[] {
    if (this.#lacks(name)) return NO_ADDRESSES;
    return this.#fact(this.#facts.addresses, name, () => this.#values(name).flatMap(parseAddressList)).value;
  }

  #fact<T>(facts: Facts, key: object | string, compute: () => T): Fact<T> {
    const last = facts.get(key);
    const known = this.#find(last);
    if (known !== undefined) {
      this.#reading |= known.of;
      // The key names the computation, so what is stored under it has the computation's type.
      return known as Fact<T>;
    }
    const outer = this.#reading;
    this.#reading = 0;
    const value = compute();
    const of = this.#reading;
    const fact = { value, of, versions: this.#versions, older: last };
    facts.set(key, fact);
    this.#reading = outer | of;
    return fact;
  }

  /** True when it is plain that there is no field of that name. */
  #lacks(name: string): boolean {
    const aspect = aspectOfName(name);
    this.#reading |= aspect;
    return (this.#present & aspect) === 0;
  }

  #values(name: string): string[] {
    this.#reading |= aspectOfName(name);
    const values: string[] = [];
    for (const field of this.#state.header) {
      if (field.name.length === name.length && field.name.toLowerCase() === name)
        values.push(fieldValue(field));
    }
    return values;
  }

  #find(last: KnownFact | undefined): KnownFact | undefined {
    for (let fact = last; fact !== undefined; fact = fact.older) {
      if (fact.versions === this.#versions || this.#holds(fact)) return fact;
    }
    return undefined;
  }

  #holds({ of, versions }: KnownFact): boolean {
    for (let aspect = 0, rest = of; rest !== 0; aspect++, rest >>>= 1) {
      if ((rest & 1) === 1 && versions[aspect] !== this.#versions[aspect]) return false;
    }
    return true;
  }
}

function compareStates(before: ViewState | undefined, after: ViewState): HeaderChange {
  if (before === undefined) return { aspects: ALL_ASPECTS, added: after.header };
  const { aspects, added } = compareHeaders(before.header, after.header);
  const stamps = before.stamps === after.stamps ? 0 : STAMPS;
  const recipients = before.allRecipients === after.allRecipients ? 0 : RECIPIENTS;
  return { aspects: aspects | stamps | recipients, added };
}
