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
  aspectsOfHeader,
  compareHeaders,
  fieldName,
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
  /** Counts the views of a message from 0. */
  readonly number: number;
  /** The view it was made from; undefined: the first one. */
  readonly before: MessageView | undefined;
  /** Aspects in which it differs from `before`. */
  readonly changed: number;
  /** Header fields that `before` does not have, or not there. */
  readonly addedFields: readonly HeaderField[];
  /** The value of `compute`, worked out once for each key; it must come from what this view gives alone. */
  memo<T>(key: string, compute: (view: MessageView) => T): T;
  /** As memo(), of what `source` says, with the aspects that the value was worked out from. */
  fact<T, Source>(key: string, source: Source, compute: Compute<T, Source>): Fact<T>;
  /** True when `state` is what this view shows. */
  shows(state: ViewState): boolean;
  /** The view of another state of the same message; facts are taken over where they hold. */
  next(state: ViewState): MessageView;
  /** Decoded, composed values of all fields of that lower-case name. */
  headerTexts(name: string): readonly string[];
  /** Addresses in all fields of that lower-case name. */
  headerAddresses(name: string): readonly Address[];
}

export type Compute<T, Source> = (view: MessageView, source: Source) => T;

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

type Facts = Map<string, KnownFact>;

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
  readonly number: number;
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
    this.#present = (before === undefined ? 0 : before.#present) | aspectsOfHeader(added);
    this.#count = before === undefined ? { views: 0 } : before.#count;
    this.number = this.#count.views++;
    this.#versions = before === undefined ? FIRST_VERSIONS : versionsAfter(before.#versions, this);
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

  memo<T>(key: string, compute: (view: MessageView) => T): T {
    return this.#fact(this.#facts.named, key, undefined, compute).value;
  }

  fact<T, Source>(key: string, source: Source, compute: Compute<T, Source>): Fact<T> {
    return this.#fact(this.#facts.named, key, source, compute);
  }

  headerTexts(name: string): readonly string[] {
    if (this.#lacks(name)) return NO_TEXTS;
    return this.#fact(this.#facts.texts, name, name, View.#readTexts).value;
  }

  headerAddresses(name: string): readonly Address[] {
    if (this.#lacks(name)) return NO_ADDRESSES;
    return this.#fact(this.#facts.addresses, name, name, View.#readAddresses).value;
  }

  #fact<T, Source>(
    facts: Facts,
    key: string,
    source: Source,
    compute: (view: View, source: Source) => T,
  ): Fact<T> {
    const last = facts.get(key);
    const known = this.#find(last);
    if (known !== undefined) {
      this.#reading |= known.of;
      // The key names the computation, so what is stored under it has the computation's type.
      return known as Fact<T>;
    }
    const outer = this.#reading;
    this.#reading = 0;
    const value = compute(this, source);
    const of = this.#reading;
    const fact = { value, of, versions: this.#versions, older: last };
    facts.set(key, fact);
    this.#reading = outer | of;
    return fact;
  }

  /** True when it is plain that there is no field of that name. */
  #lacks(name: string): boolean {
    const { aspect } = fieldName(name);
    this.#reading |= aspect;
    return (this.#present & aspect) === 0;
  }

  static #readTexts(view: View, name: string): readonly string[] {
    const texts = view.#values(name);
    for (let at = 0; at < texts.length; at++) texts[at] = composeText(decodeHeaderText(texts[at] as string));
    return texts;
  }

  static #readAddresses(view: View, name: string): readonly Address[] {
    const [only, ...others] = view.#values(name).map(parseAddressList);
    return others.length === 0 ? (only ?? NO_ADDRESSES) : [only ?? [], ...others].flat();
  }

  #values(name: string): string[] {
    this.#reading |= fieldName(name).aspect;
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

const FIRST_VERSIONS: readonly number[] = new Array<number>(ASPECTS).fill(0);

/** `before` with the view's number where the view differs. */
function versionsAfter(
  before: readonly number[],
  { changed, number }: Pick<MessageView, "changed" | "number">,
): readonly number[] {
  const versions = before.slice();
  for (let aspect = 0, rest = changed; rest !== 0; aspect++, rest >>>= 1) {
    if ((rest & 1) === 1) versions[aspect] = number;
  }
  return versions;
}

function compareStates(before: ViewState | undefined, after: ViewState): HeaderChange {
  if (before === undefined) return { aspects: ALL_ASPECTS, added: after.header };
  const { aspects, added } = compareHeaders(before.header, after.header);
  const stamps = before.stamps === after.stamps ? 0 : STAMPS;
  const recipients = before.allRecipients === after.allRecipients ? 0 : RECIPIENTS;
  return { aspects: aspects | stamps | recipients, added };
}
