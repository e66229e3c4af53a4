/**
 * MessageWalks: what the walks of one message share, so that its cost follows the recipients, not the groups that name them.
 *
 * A record that an earlier recipient of the message has expanded with the same NOTIFY adds nothing and is not
 * walked again, provided that somebody is reached from it (else the later recipient must fail for itself).
 *
 * @module
 */
import type { Address } from "../../mail/address.ts";
import type { Recipient } from "../../mail/message.ts";
import type { RecipientRecord } from "../../snapshot/domain-table.ts";
import { notifyKey } from "./notify.ts";
import type { ResolveOptions } from "./resolve.ts";

/** Records and the NOTIFY (as keys) they were walked with. */
export type Walked = Map<RecipientRecord, Set<string>>;

export interface MessageWalks {
  /** Addresses that the walks of this message may still look at. */
  remaining: number;
  /** True when walking the record for this recipient would add nothing. */
  covers(record: RecipientRecord, recipient: Recipient): boolean;
  /** Takes over what a walk that came to a good end has walked. */
  add(walked: Walked): void;
}

/** Addresses looked at in a message, for each recipient one address may become. */
const VISITS_PER_MESSAGE = 20;

export function createMessageWalks(options: ResolveOptions, maxExpansion: number): MessageWalks {
  const walked: Walked = new Map();
  const reached = new Map<RecipientRecord, boolean>();
  return {
    remaining: maxExpansion * VISITS_PER_MESSAGE,
    covers(record, { notify }) {
      if (walked.get(record)?.has(notifyKey(notify)) !== true) return false;
      const known = reached.get(record) ?? reachesSomebody(record, options, reached);
      reached.set(record, known);
      return known;
    },
    add(more) {
      for (const [record, keys] of more) {
        const before = walked.get(record);
        walked.set(record, before === undefined ? keys : before.union(keys));
      }
    },
  };
}

/** A mailbox, the outside, or a failure that is reported. Ends at the first one, so nearly always at once. */
function reachesSomebody(
  start: RecipientRecord,
  options: ResolveOptions,
  reached: Map<RecipientRecord, boolean>,
): boolean {
  const seen = new Set<RecipientRecord>([start]);
  const open = [start];
  for (let record = open.pop(); record !== undefined; record = open.pop()) {
    const next = nextAddresses(record, options);
    if (next === undefined) return true;
    for (const address of next) {
      const found = options.domains.lookup(address);
      if (found === undefined || reached.get(found) === true) return true;
      if (!seen.has(found)) open.push(found);
      seen.add(found);
    }
  }
  for (const record of seen) reached.set(record, false);
  return false;
}

/** undefined: the record is an end itself. */
function nextAddresses(record: RecipientRecord, options: ResolveOptions): readonly Address[] | undefined {
  switch (record.kind) {
    case "mailbox":
      return undefined;
    case "alias":
      return [record.target];
    case "group":
      return record.requireSenderAuthentication && !options.senderIsInternal ? undefined : record.members;
    case "forward":
      return record.keepCopy ? undefined : record.targets;
  }
}
