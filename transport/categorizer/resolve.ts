/**
 * Resolve: from recipients as given to the mailboxes and outside addresses that the message goes to.
 *
 * In: recipients and the domain table. Out: recipients without duplicates, failures with their status, each step taken.
 * Every recipient given ends in at least one of: a recipient, a failure. Nothing is dropped on the way.
 * Pure; ends on any graph of aliases, groups and forwards.
 *
 * @module
 */
import { type Address, addressKey } from "../../mail/address.ts";
import type { Recipient } from "../../mail/message.ts";
import type { DomainTable, RecipientRecord } from "../../snapshot/domain-table.ts";
import { type Expansion, expand, MAX_EXPANSION } from "./expand.ts";
import { createMessageWalks } from "./message-walks.ts";
import type { FailedRecipient, Resolution, ResolveStep } from "./mod.ts";
import { mergeRecipients, notifyKey } from "./notify.ts";

export interface ResolveOptions {
  readonly domains: DomainTable;
  /** Edge does not expand: it knows who exists, not where they are. */
  readonly role: "Hub" | "Edge";
  readonly senderIsInternal: boolean;
  /** Recipients that one address may become; beyond it the address fails 5.5.3. Default 10,000. */
  readonly maxExpansion?: number;
}

interface Results {
  readonly recipients: Map<string, Recipient>;
  readonly failed: FailedRecipient[];
  readonly expanded: Recipient[];
  readonly steps: ResolveStep[];
}

export function resolveRecipients(recipients: readonly Recipient[], options: ResolveOptions): Resolution {
  const results: Results = { recipients: new Map(), failed: [], expanded: [], steps: [] };
  // A sender who names all+1@, all+2@, ... has the group expanded once: its record is the same.
  const known = new Map<string, Expansion>();
  const walks = createMessageWalks(options, options.maxExpansion ?? MAX_EXPANSION);
  const ids = new Map<RecipientRecord, number>();
  for (const recipient of recipients) {
    const key = expansionKey(recipient, options.domains.lookup(recipient.address), ids);
    const before = known.get(key);
    if (before !== undefined) {
      repeat(recipient, before, results);
      continue;
    }
    const expansion = expand(recipient, options, walks);
    known.set(key, expansion);
    commit(recipient, expansion, results);
  }
  const { failed, expanded, steps } = results;
  return { recipients: [...results.recipients.values()], failed, expanded, steps };
}

/** Equal for recipients that expand alike: the same record (or address), the same NOTIFY, forwarded or not. */
function expansionKey(
  { address, notify, forwarded }: Recipient,
  record: RecipientRecord | undefined,
  ids: Map<RecipientRecord, number>,
): string {
  if (record === undefined || record.kind === "mailbox")
    return `${addressKey(address)} ${notifyKey(notify)} ${forwarded}`;
  const id = ids.get(record) ?? ids.size;
  ids.set(record, id);
  return `${id} ${notifyKey(notify)} ${forwarded}`;
}

function commit(recipient: Recipient, expansion: Expansion, results: Results): void {
  const duplicates: Address[] = [];
  for (const [key, found] of expansion.recipients) {
    const before = results.recipients.get(key);
    if (before !== undefined) duplicates.push(found.address);
    results.recipients.set(key, before === undefined ? found : mergeRecipients(before, found));
  }
  // One by one: a long list does not fit into the arguments of one push().
  for (const failure of expansion.failed) results.failed.push(failure);
  for (const group of expansion.expanded) results.expanded.push(group);
  for (const step of expansion.steps) results.steps.push(step);
  if (duplicates.length > 0) results.steps.push(duplicateStep(recipient, duplicates));
}

/** The same recipient once more: nothing new to deliver, but a failure and "expanded" are reported for each. */
function repeat(recipient: Recipient, before: Expansion, results: Results): void {
  if (before.recipients.size === 0) {
    for (const failure of before.failed) {
      if (!isSame(failure.recipient, recipient)) results.failed.push({ ...failure, recipient });
    }
  }
  for (const group of before.expanded) {
    if (!isSame(group, recipient)) results.expanded.push({ ...recipient, address: group.address });
  }
  results.steps.push(duplicateStep(recipient, [recipient.address]));
}

/** Given by the sender as the same address: reported once. */
function isSame(a: Recipient, b: Recipient): boolean {
  return addressKey(a.original) === addressKey(b.original);
}

function duplicateStep({ address }: Recipient, to: readonly Address[]): ResolveStep {
  return { kind: "duplicate", from: address, to, acceptedDomain: "", reason: "already a recipient" };
}
