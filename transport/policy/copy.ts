/**
 * Working copy: recipients that share one fate and one content while the rules run, and how it becomes a PolicyCopy.
 *
 * A copy is never changed: an action gives a new one. Copies that end alike become one again.
 *
 * @module
 */
import { addressKey } from "../../mail/address.ts";
import type { HeaderField } from "../../mail/header.ts";
import type { Message, Recipient } from "../../mail/message.ts";
import type { ContentEdit, PolicyCopy } from "./mod.ts";

export interface WorkingRecipient {
  readonly recipient: Recipient;
  /** A rule added it: the sender did not name it. */
  readonly added: boolean;
  /** Those whose place it took by redirection. Empty: none. */
  readonly replaces: readonly Recipient[];
}

export interface WorkingCopy extends Omit<PolicyCopy, "recipients" | "added"> {
  readonly recipients: readonly WorkingRecipient[];
  /** The header as it will be after the edits, for the predicates of later rules. */
  readonly header: readonly HeaderField[];
  /** A rule with stopRuleProcessing matched. */
  readonly stopped: boolean;
}

const NOBODY: readonly Recipient[] = [];

export function firstCopy(message: Message, recipients: readonly Recipient[]): WorkingCopy {
  return {
    recipients: recipients.map((recipient) => ({ recipient, added: false, replaces: NOBODY })),
    edits: [],
    fate: { kind: "deliver" },
    connectorOverride: undefined,
    requireTls: message.envelope.requireTls,
    priority: message.priority,
    stamps: message.stamps,
    header: message.header,
    stopped: false,
  };
}

/** True when later rules still look at the copy. */
export function isOpen({ fate, stopped }: WorkingCopy): boolean {
  return fate.kind === "deliver" && !stopped;
}

/** Everybody who still gets the message. */
export function receivers(copies: readonly WorkingCopy[]): Recipient[] {
  const all: Recipient[] = [];
  for (const { fate, recipients } of copies) {
    if (fate.kind === "deliver") for (const { recipient } of recipients) all.push(recipient);
  }
  return all;
}

/** Holds a working copy. */
interface Holder {
  readonly copy: WorkingCopy;
}

/** Who gets the message so far, by address; looked up by few actions, so listed when one asks. */
export class Receiving {
  readonly #holders: readonly Holder[];
  #added: WorkingRecipient[] | undefined;
  #keys: Set<string> | undefined;

  constructor(holders: readonly Holder[]) {
    this.#holders = holders;
  }

  has(key: string): boolean {
    this.#keys ??= this.#list();
    return this.#keys.has(key);
  }

  add(recipients: readonly WorkingRecipient[]): void {
    this.#added ??= [];
    for (const one of recipients) {
      this.#added.push(one);
      this.#keys?.add(addressKey(one.recipient.address));
    }
  }

  #list(): Set<string> {
    const keys = new Set(
      receivers(this.#holders.map(({ copy }) => copy)).map(({ address }) => addressKey(address)),
    );
    for (const { recipient } of this.#added ?? []) keys.add(addressKey(recipient.address));
    return keys;
  }
}

/** What the rules decided, with equal copies made one. */
export function finishCopies(holders: readonly Holder[]): PolicyCopy[] {
  const finished = holders.map(({ copy }) => finishCopy(copy));
  const distinct = finished.length === 1 ? finished : joinEqual(finished);
  return distinct.filter(({ recipients, added }) => recipients.length + added.length > 0);
}

function joinEqual(copies: readonly PolicyCopy[]): PolicyCopy[] {
  const byContent = new Map<string, PolicyCopy>();
  for (const copy of copies) {
    const key = contentKey(copy);
    const same = byContent.get(key);
    byContent.set(key, same === undefined ? copy : joinCopies(same, copy));
  }
  return [...byContent.values()];
}

function finishCopy(copy: WorkingCopy): PolicyCopy {
  const kept: Recipient[] = [];
  const added: Recipient[] = [];
  if (copy.fate.kind === "quarantine") return endCopy(copy, recipientsOf(copy), added);
  // The sender hears of those it wrote to, not of where rules sent the message.
  if (copy.fate.kind !== "deliver") return endCopy(copy, uniqueRecipients(namedBySender(copy)), added);
  for (const one of copy.recipients) (isAsNamed(one) ? kept : added).push(one.recipient);
  return endCopy(copy, kept, added);
}

function endCopy(
  { edits, fate, connectorOverride, requireTls, priority, stamps }: WorkingCopy,
  recipients: readonly Recipient[],
  added: readonly Recipient[],
): PolicyCopy {
  return { recipients, edits, fate, connectorOverride, requireTls, priority, stamps, added };
}

function isAsNamed({ added, replaces }: WorkingRecipient): boolean {
  return !added && replaces.length === 0;
}

function namedBySender({ recipients }: WorkingCopy): Recipient[] {
  return recipients.flatMap(({ recipient, added, replaces }) => {
    if (added) return [];
    return replaces.length > 0 ? replaces : recipient;
  });
}

export function recipientsOf({ recipients }: WorkingCopy): Recipient[] {
  return recipients.map(({ recipient }) => recipient);
}

function joinCopies(a: PolicyCopy, b: PolicyCopy): PolicyCopy {
  const recipients = uniqueRecipients([...a.recipients, ...b.recipients]);
  const kept = new Set(recipients.map(({ address }) => addressKey(address)));
  const added = uniqueRecipients([...a.added, ...b.added]).filter(
    ({ address }) => !kept.has(addressKey(address)),
  );
  return { ...a, recipients, added };
}

/** What makes two copies differ. Of a message that goes nowhere only the fate counts. */
function contentKey(copy: PolicyCopy): string {
  const { edits, fate, connectorOverride, requireTls, priority, stamps } = copy;
  if (fate.kind === "reject" || fate.kind === "delete") return JSON.stringify(fate);
  const sorted = Object.entries(stamps).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([edits, fate, connectorOverride ?? null, requireTls, priority, sorted]);
}

export function uniqueRecipients(recipients: readonly Recipient[]): Recipient[] {
  const seen = new Set<string>();
  return recipients.filter(({ address }) => {
    const key = addressKey(address);
    return !seen.has(key) && seen.add(key);
  });
}

/** Adds an edit; `header` is the header after it. */
export function withEdit(
  copy: WorkingCopy,
  edit: ContentEdit,
  header: readonly HeaderField[] = copy.header,
): WorkingCopy {
  return { ...copy, header, edits: copy.edits.concat(edit) };
}
