/**
 * Explain: what the transport would do with a message, and why; by the very code that does it. Nothing is sent or stored.
 *
 * @module
 */
import { systemClock } from "../lib/clock.ts";
import { addressKey, formatAddress } from "../mail/address.ts";
import type { Message, Recipient } from "../mail/message.ts";
import { scanMime } from "../mail/mime.ts";
import type { SmtpSession } from "../mail/session.ts";
import type { Routing } from "./categorizer/mod.ts";
import type { Configuration } from "./configuration-source.ts";
import { MAX_TEXT } from "./content.ts";
import {
  type ExplainQuery,
  type Explanation,
  explainPermissions,
  explainReceive,
  NO_SESSION,
  sessionOf,
} from "./explain-session.ts";
import { buildPipeline } from "./pipeline.ts";
import { type Plan, planMessage } from "./plan.ts";
import { describePredicate } from "./rule-text.ts";
import { namedByLiteral } from "./smtp/mod.ts";
import { submissionItem } from "./submission.ts";

export type { Explanation } from "./explain-session.ts";

/** Runs the decisions of every stage on one message. */
export async function explainMessage(
  configuration: Configuration,
  query: ExplainQuery,
): Promise<Explanation> {
  const quiet = { info() {}, warn() {} };
  const noLookup = () => Promise.reject(new Error("explain asks no DNS"));
  const pipeline = buildPipeline(configuration.snapshot, configuration.secrets, {
    clock: systemClock,
    resolver: { addresses: noLookup, texts: noLookup },
    log: quiet,
    onAgent() {},
  });
  const entry = explainReceive(configuration, query);
  const session = sessionOf(configuration, query, entry.receive.connector);
  const permissions =
    session === undefined ? NO_SESSION(query) : await explainPermissions(pipeline, session, query);
  const message = messageOf(query, session);
  const limits = { maxParts: 10_000, maxDepth: 100, maxText: MAX_TEXT };
  const now = systemClock.now();
  const item = submissionItem(message, now, now);
  const mime = await scanMime(query.header, [query.body], limits);
  const plan = await planMessage(item, { pipeline, mime, now, explain: true });
  return { ...entry, ...permissions, ...describePlan(plan) };
}

/** The plan in words and rows. */
function describePlan(plan: Plan): Omit<Explanation, "receive" | "sender" | "recipients"> {
  return {
    resolution: (plan.resolution?.steps ?? []).map((step) => ({
      from: formatAddress(step.from),
      kind: step.kind,
      to: step.to.map(formatAddress).join(", "),
      reason: step.reason,
    })),
    rules: (plan.policy?.trace ?? []).map(({ rule, mode, outcome, actions, predicates }) => ({
      rule,
      outcome: mode === "Audit" ? `${outcome} (Audit)` : outcome,
      actions,
      predicates: predicates.map(describePredicate),
    })),
    routes: plan.routings.flatMap(({ explanation }) => explanation.flatMap(describeRoute)),
    copies: plan.copies.map((copy) => ({
      queue: copy.queue,
      nextHop: copy.nextHop?.key ?? "",
      recipients: copy.recipients.map(({ address }) => formatAddress(address)).join(", "),
      edits: copy.edits.map(({ kind }) => kind),
      reason: copy.reason ?? "",
    })),
    failed: plan.failed.map(({ recipient, status, text }) => ({
      recipient: formatAddress(recipient.address),
      status,
      text,
    })),
  };
}

function describeRoute({ recipient, candidates }: Routing["explanation"][number]) {
  return candidates.map(({ connector, addressSpace, verdict }) => ({
    recipient: formatAddress(recipient.address),
    connector,
    addressSpace,
    verdict,
  }));
}

function messageOf(query: ExplainQuery, session: SmtpSession | undefined): Message {
  const recipients: Recipient[] = [
    ...new Map(
      query.to.map((original) => {
        const address = session === undefined ? original : namedByLiteral(session, original);
        return [addressKey(address), { address, original }];
      }),
    ).values(),
  ];
  return {
    id: "explain",
    networkMessageId: "explain",
    envelope: { sender: query.from, recipients, bodyType: "8BITMIME", smtpUtf8: false, requireTls: false },
    origin: {
      receivedAt: systemClock.now(),
      clientAddress: query.clientAddress,
      helo: "explain",
      // An own message would pass unjudged: without a connector the rules still see a stranger's.
      connector: session?.connector ?? "none",
      user: query.user,
      internal: session?.internal ?? false,
    },
    header: query.header,
    body: { kind: "inline", bytes: query.body, size: query.body.length },
    priority: "Normal",
    stamps: {},
  };
}
