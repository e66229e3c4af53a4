/** PlanEvents: the plan of one message as tracking events, in Exchange's words. Pure. */
import { formatAddress } from "../mail/address.ts";
import type { Message, Recipient } from "../mail/message.ts";
import type { Resolution } from "./categorizer/mod.ts";
import type { PlannedCopy } from "./placement.ts";
import type { PolicyCopy, PolicyDecision, RuleTrace } from "./policy/mod.ts";
import { formatRules } from "./rule-text.ts";
import { ofMessage, type TrackingEvent, type TrackingEventId } from "./tracking.ts";

/** The recipients asked about last: the events of a message mostly have the same. */
let latest: { readonly recipients: readonly Recipient[]; readonly addresses: readonly string[] } = {
  recipients: [],
  addresses: [],
};

export function addressesOf(recipients: readonly Recipient[]): readonly string[] {
  if (!haveSameItems(recipients, latest.recipients)) {
    latest = {
      recipients: [...recipients],
      addresses: recipients.map(({ address }) => formatAddress(address)),
    };
  }
  return latest.addresses;
}

function haveSameItems(some: readonly unknown[], others: readonly unknown[]): boolean {
  if (some === others) return true;
  return some.length === others.length && some.every((item, index) => item === others[index]);
}

const STEP_EVENTS: Readonly<Record<string, TrackingEventId>> = {
  alias: "RESOLVE",
  group: "EXPAND",
  forward: "REDIRECT",
};

export function resolveEvents(message: Message, { steps }: Resolution): TrackingEvent[] {
  return steps.flatMap((step) => {
    const event = STEP_EVENTS[step.kind];
    if (event === undefined) return [];
    const recipients = step.to.map(formatAddress);
    return [
      {
        of: ofMessage(message),
        recipients,
        step: { event, source: "ROUTING", from: formatAddress(step.from), text: step.reason },
      },
    ];
  });
}

const RULES_RAN = { event: "AGENTINFO", source: "AGENT", agent: "Transport Rule Agent" } as const;

/** One event for all rules that did something to the message, or none. */
export function ruleEvents(message: Message, decision: PolicyDecision | undefined): TrackingEvent[] {
  const traces = decision?.trace.filter(({ outcome }) => outcome !== "not-matched" && outcome !== "inactive");
  const [first, ...others] = traces ?? [];
  if (traces === undefined || first === undefined) return [];
  const recipients = others.every((trace) => haveSameItems(trace.recipients, first.recipients))
    ? first.recipients
    : [...new Set(traces.flatMap((trace) => trace.recipients))];
  const isForAll = (trace: RuleTrace) => haveSameItems(trace.recipients, recipients);
  const more = formatRules(traces, (trace) => (isForAll(trace) ? undefined : addressesOf(trace.recipients)));
  return [{ of: ofMessage(message), recipients: addressesOf(recipients), step: RULES_RAN, more }];
}

export function transferEvent(message: Message, copy: PlannedCopy): TrackingEvent {
  const { queue, nextHop, reason } = copy;
  return {
    of: ofMessage(message),
    recipients: addressesOf(copy.recipients),
    step: { event: "TRANSFER", source: "ROUTING", queue, nextHop: nextHop?.key ?? "", text: reason },
  };
}

export function redirectEvent(message: Message, copy: PolicyCopy, added: Resolution): TrackingEvent {
  return {
    of: ofMessage(message),
    recipients: addressesOf(added.recipients),
    step: { event: "REDIRECT", source: "ROUTING", from: addressesOf(copy.recipients).join(", ") },
  };
}
