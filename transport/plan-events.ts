/** PlanEvents: the plan of one message as tracking events, in Exchange's words. Pure. */
import { formatAddress } from "../mail/address.ts";
import type { Message, Recipient } from "../mail/message.ts";
import type { Resolution } from "./categorizer/mod.ts";
import type { PlannedCopy } from "./placement.ts";
import type { PolicyCopy, PolicyDecision, PredicateResult } from "./policy/mod.ts";
import { ofMessage, type TrackingEvent } from "./tracking.ts";

export function addressesOf(recipients: readonly Recipient[]): string[] {
  return recipients.map(({ address }) => formatAddress(address));
}

const STEP_EVENTS: Readonly<Record<string, TrackingEvent["event"]>> = {
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
        ...ofMessage(message),
        event,
        source: "ROUTING",
        recipients,
        from: formatAddress(step.from),
        text: step.reason,
      },
    ];
  });
}

export function ruleEvents(message: Message, decision: PolicyDecision | undefined): TrackingEvent[] {
  const traces = decision?.trace.filter(({ outcome }) => outcome !== "not-matched" && outcome !== "inactive");
  if (traces === undefined || traces.length === 0) return [];
  const facts = ofMessage(message);
  return traces.map(({ rule, mode, outcome, actions, recipients, predicates }) => ({
    ...facts,
    event: "AGENTINFO" as const,
    source: "AGENT" as const,
    agent: "Transport Rule Agent",
    recipients: addressesOf(recipients),
    rule,
    mode,
    outcome,
    actions,
    predicates: predicates.map(describePredicate),
  }));
}

export function transferEvent(message: Message, copy: PlannedCopy): TrackingEvent {
  const where = { queue: copy.queue, nextHop: copy.nextHop?.key ?? "", text: copy.reason };
  return {
    ...ofMessage(message),
    event: "TRANSFER",
    source: "ROUTING",
    recipients: addressesOf(copy.recipients),
    ...where,
  };
}

export function redirectEvent(message: Message, copy: PolicyCopy, added: Resolution): TrackingEvent {
  const recipients = addressesOf(added.recipients);
  return {
    ...ofMessage(message),
    event: "REDIRECT",
    source: "ROUTING",
    recipients,
    from: addressesOf(copy.recipients).join(", "),
  };
}

/** `subjectContainsWords: yes (invoice)`. */
export function describePredicate({ predicate, result, evidence }: PredicateResult): string {
  return `${predicate}: ${result}${evidence ? ` (${evidence})` : ""}`;
}
