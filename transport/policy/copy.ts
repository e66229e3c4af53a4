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

export function firstCopy(message: Message, recipients: readonly Recipient[]): WorkingCopy {
  return {
    recipients: recipients.map((recipient) => ({ recipient, added: false, replaces: [] })),
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
  return copies
    .filter(({ fate }) => fate.kind === "deliver")
    .flatMap(({ recipients }) => recipients.map(({ recipient }) => recipient));
}

/** Who gets the message so far, by address; looked up by few actions, so listed when one asks. */
export interface Receiving {
  has(key: string): boolean;
  add(recipients: readonly WorkingRecipient[]): void;
}

export function receivingNow(copies: readonly WorkingCopy[]): Receiving {
  const added: WorkingRecipient[] = [];
  let keys: Set<string> | undefined;
  return {
    has(key) {
      if (keys === undefined) {
        const all = [...receivers(copies), ...added.map(({ recipient }) => recipient)];
        keys = new Set(all.map(({ address }) => addressKey(address)));
      }
      return keys.has(key);
    },
    add(recipients) {
      if (keys === undefined) added.push(...recipients);
      else for (const { recipient } of recipients) keys.add(addressKey(recipient.address));
    },
  };
}

/** What the rules decided, with equal copies made one. */
export function finishCopies(copies: readonly WorkingCopy[]): PolicyCopy[] {
  const finished = new Map<string, PolicyCopy>();
  for (const copy of copies) {
    const result = finishCopy(copy);
    const key = copies.length === 1 ? "" : contentKey(result);
    const same = finished.get(key);
    finished.set(key, same === undefined ? result : joinCopies(same, result));
  }
  return [...finished.values()].filter(({ recipients, added }) => recipients.length + added.length > 0);
}

function finishCopy({ recipients, header, stopped, ...rest }: WorkingCopy): PolicyCopy {
  const all = recipients.map(({ recipient }) => recipient);
  if (rest.fate.kind === "quarantine") return { ...rest, recipients: all, added: [] };
  const named = recipients.filter(({ added }) => !added);
  if (rest.fate.kind !== "deliver") {
    // The sender hears of those it wrote to, not of where rules sent the message.
    const told = named.flatMap(({ recipient, replaces }) => (replaces.length > 0 ? replaces : [recipient]));
    return { ...rest, recipients: uniqueRecipients(told), added: [] };
  }
  const isKept = ({ added, replaces }: WorkingRecipient) => !added && replaces.length === 0;
  return {
    ...rest,
    recipients: recipients.filter(isKept).map(({ recipient }) => recipient),
    added: recipients.filter((one) => !isKept(one)).map(({ recipient }) => recipient),
  };
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
  return { ...copy, header, edits: [...copy.edits, edit] };
}
