/**
 * Expand: one recipient through aliases, groups and forwards, to where its mail goes.
 *
 * A walk in depth, each record once (a group met twice adds nothing). A record met again below itself is a
 * loop: harmless when the walk reaches a mailbox elsewhere, else the recipient fails 5.4.6.
 *
 * @module
 */
import { type Address, addressKey, formatAddress } from "../../mail/address.ts";
import type { Recipient } from "../../mail/message.ts";
import type { RecipientRecord } from "../../snapshot/domain-table.ts";
import type { MessageWalks, Walked } from "./message-walks.ts";
import type { FailedRecipient, ResolveStep } from "./mod.ts";
import { mergeRecipients, notifyKey, originalRecipient, wantsSuccess, withoutSuccess } from "./notify.ts";
import type { ResolveOptions } from "./resolve.ts";

export interface Expansion {
  /** By address key. */
  readonly recipients: ReadonlyMap<string, Recipient>;
  readonly failed: readonly FailedRecipient[];
  readonly expanded: readonly Recipient[];
  readonly steps: readonly ResolveStep[];
}

type Redirection = Exclude<RecipientRecord, { readonly kind: "mailbox" }>;

interface Walk {
  readonly options: ResolveOptions;
  readonly shared: MessageWalks;
  readonly recipients: Map<string, Recipient>;
  readonly failed: FailedRecipient[];
  readonly expanded: Recipient[];
  readonly steps: ResolveStep[];
  /** Records above the current one. */
  readonly path: Set<RecipientRecord>;
  /** Records already walked, with the NOTIFY they were walked with. */
  readonly walked: Walked;
  visits: number;
  looped: boolean;
  /** Came to a record that an earlier recipient of the message has brought to somebody. */
  covered: boolean;
}

export const MAX_EXPANSION = 10_000;
/** Deeper nesting is taken for a mistake; it also keeps the walk off the end of the stack. */
const MAX_DEPTH = 100;
/** Addresses looked at, for each recipient allowed: groups that repeat their members cost time, not recipients. */
const VISITS_PER_RECIPIENT = 10;

// Statuses as Exchange's resolver gives them (RFC 3463): RecipNotFound, SenderNotAuthenticatedForGroup, RecipLimit, Loop.
const UNKNOWN = { status: "5.1.1", text: "Recipient unknown" };
const UNAUTHENTICATED = {
  status: "5.7.133",
  text: "Sender not authenticated: this group takes mail from inside only",
};
const TOO_MANY = { status: "5.5.3", text: "Recipient expands to too many recipients" };
const LOOP = { status: "5.4.6", text: "Forwarding loop: no mailbox is reached" };
const TOO_DEEP = { status: "5.4.6", text: "Recipient is nested too deeply" };
const EMPTY = { status: "5.2.4", text: "Group has no members" };

type Failure = Omit<FailedRecipient, "recipient">;

export function expand(recipient: Recipient, options: ResolveOptions, shared: MessageWalks): Expansion {
  const walk: Walk = {
    options,
    shared,
    recipients: new Map(),
    failed: [],
    expanded: [],
    steps: [],
    path: new Set(),
    walked: new Map(),
    visits: 0,
    looped: false,
    covered: false,
  };
  visit(walk, recipient);
  const isTooMuch = isTooLarge(walk);
  shared.remaining -= walk.visits - 1;
  if (isTooMuch) return tooLarge(walk, recipient);
  if (walk.recipients.size > 0 || walk.failed.length > 0 || walk.covered) shared.add(walk.walked);
  else walk.failed.push({ recipient, ...(walk.looped ? LOOP : EMPTY) });
  return walk;
}

function visit(walk: Walk, recipient: Recipient): void {
  walk.visits += 1;
  if (isTooLarge(walk)) return;
  const record = walk.options.domains.lookup(recipient.address);
  if (record === undefined || record.kind === "mailbox" || isFinal(walk, recipient, record)) {
    arrive(walk, recipient, record);
    return;
  }
  if (walk.path.has(record)) {
    walk.looped = true;
    step(walk, "loop", recipient.address, { reason: "leads back to itself" });
  } else if (isWalked(walk, record, recipient)) {
    step(walk, "duplicate", recipient.address, { reason: "already expanded" });
  } else if (walk.shared.covers(record, recipient)) {
    walk.covered = true;
    step(walk, "duplicate", recipient.address, { reason: "already expanded for another recipient" });
  } else if (walk.path.size >= MAX_DEPTH) {
    fail(walk, "loop", recipient, TOO_DEEP);
  } else {
    walk.path.add(record);
    follow(walk, recipient, record);
    walk.path.delete(record);
  }
}

function isFinal({ options }: Walk, { address, forwarded }: Recipient, record: Redirection): boolean {
  // A message that waited and is resolved anew was forwarded before: the forward must not get it twice.
  if (forwarded && record.kind === "forward" && record.keepCopy) return true;
  // On Edge only <postmaster> without a domain or at our own name is rewritten, since nothing routes it (RFC 5321 §4.5.1).
  return options.role === "Edge" && options.domains.find(address.domain) !== undefined;
}

function follow(walk: Walk, recipient: Recipient, record: Redirection): void {
  if (record.kind === "group") followGroup(walk, recipient, record);
  else if (record.kind === "forward") followForward(walk, recipient, record);
  else {
    step(walk, "alias", recipient.address, { to: [record.target], reason: "alias" });
    visit(walk, redirect(recipient, record.target, recipient.notify));
  }
}

function followGroup(walk: Walk, recipient: Recipient, group: Extract<Redirection, { kind: "group" }>): void {
  if (group.requireSenderAuthentication && !walk.options.senderIsInternal) {
    fail(walk, "refused", recipient, UNAUTHENTICATED);
    return;
  }
  const reason = `group of ${group.members.length}`;
  step(walk, "group", recipient.address, { to: group.members, reason });
  // RFC 3461 §5.2.7.3: success is reported once, for the group, as "expanded".
  if (wantsSuccess(recipient.notify)) walk.expanded.push(recipient);
  const notify = withoutSuccess(recipient.notify);
  for (const member of group.members) {
    visit(walk, { ...redirect(recipient, member, notify), original: member });
  }
}

function followForward(
  walk: Walk,
  recipient: Recipient,
  forward: Extract<Redirection, { kind: "forward" }>,
): void {
  const reason = forward.keepCopy ? "forwarded, with a copy to the mailbox" : "forwarded";
  step(walk, "forward", recipient.address, { to: forward.targets, reason });
  const isSingle = forward.targets.length === 1 && !forward.keepCopy;
  // RFC 3461 §5.2.7.3: of several targets at most one may report success; the mailbox does, else "expanded".
  const notify = isSingle ? recipient.notify : withoutSuccess(recipient.notify);
  if (forward.keepCopy) arrive(walk, { ...recipient, forwarded: true }, forward);
  else if (!isSingle && wantsSuccess(recipient.notify)) walk.expanded.push(recipient);
  for (const target of forward.targets) visit(walk, redirect(recipient, target, notify));
}

/** The end of a path: a mailbox, a relay domain, the outside, or nobody. */
function arrive(walk: Walk, recipient: Recipient, record: RecipientRecord | undefined): void {
  const { address } = recipient;
  const entry = walk.options.domains.find(address.domain);
  const known = record === undefined ? walk.options.domains.classify(address) : "known";
  if (known === "unknown" || address.domain === "") {
    fail(walk, "unknown", recipient, UNKNOWN);
    return;
  }
  const key = addressKey(address);
  const before = walk.recipients.get(key);
  if (before !== undefined) {
    walk.recipients.set(key, mergeRecipients(before, recipient));
    step(walk, "duplicate", address, { reason: "already a recipient" });
    return;
  }
  walk.recipients.set(key, recipient);
  if (entry === undefined) {
    step(walk, "outside", address, { reason: "no accepted domain" });
    return;
  }
  const listed = known === "known" ? "listed" : "not validated";
  step(walk, entry.type === "Authoritative" ? "mailbox" : "relay", address, {
    reason: `${entry.type} domain, ${listed}`,
  });
}

function redirect(from: Recipient, address: Address, notify: Recipient["notify"]): Recipient {
  const orcpt = from.orcpt ?? originalRecipient(from.original);
  return { address, original: from.original, notify, orcpt };
}

function isWalked({ walked }: Walk, record: RecipientRecord, { notify }: Recipient): boolean {
  const key = notifyKey(notify);
  const keys = walked.get(record);
  if (keys?.has(key)) return true;
  walked.set(record, (keys ?? new Set()).add(key));
  return false;
}

function isTooLarge({ options, shared, recipients, failed, visits }: Walk): boolean {
  const limit = options.maxExpansion ?? MAX_EXPANSION;
  if (recipients.size + failed.length > limit || visits > limit * VISITS_PER_RECIPIENT) return true;
  // The address itself is no expansion: a plain recipient is never one too many.
  return visits - 1 > Math.max(0, shared.remaining);
}

/** All or nothing: half a group would be neither delivered nor refused. */
function tooLarge({ options }: Walk, recipient: Recipient): Expansion {
  const reason = `expands to more than ${options.maxExpansion ?? MAX_EXPANSION} recipients`;
  const acceptedDomain = options.domains.find(recipient.address.domain)?.name ?? "";
  return {
    recipients: new Map(),
    failed: [{ recipient, ...TOO_MANY }],
    expanded: [],
    steps: [{ kind: "refused", from: recipient.address, to: [], acceptedDomain, reason }],
  };
}

function fail(walk: Walk, kind: ResolveStep["kind"], recipient: Recipient, failure: Failure): void {
  walk.failed.push({ recipient, ...failure });
  const reason = `${failure.status} ${failure.text}: ${formatAddress(recipient.address)}`;
  step(walk, kind, recipient.address, { reason });
}

function step(
  { steps, options }: Walk,
  kind: ResolveStep["kind"],
  from: Address,
  { to = [], reason }: { to?: readonly Address[]; reason: string },
): void {
  steps.push({ kind, from, to, acceptedDomain: options.domains.find(from.domain)?.name ?? "", reason });
}
