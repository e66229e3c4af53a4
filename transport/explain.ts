/**
 * Explain: what the transport would do with a message, and why; by the very code that does it. Nothing is sent or stored.
 *
 * @module
 */
import { systemClock } from "../lib/clock.ts";
import { type Address, addressKey, formatAddress } from "../mail/address.ts";
import type { HeaderField } from "../mail/header.ts";
import type { Message, Recipient } from "../mail/message.ts";
import { scanMime } from "../mail/mime.ts";
import { formatReply } from "../mail/reply.ts";
import type { SmtpSession } from "../mail/session.ts";
import type { Routing } from "./categorizer/mod.ts";
import { MAX_TEXT } from "./content.ts";
import { buildPipeline, type Pipeline } from "./pipeline.ts";
import { type Plan, planMessage } from "./plan.ts";
import { describePredicate } from "./plan-events.ts";
import type { Configuration } from "./reload.ts";
import {
  checkRecipient,
  checkSender,
  createConnectorTable,
  namedByLiteral,
  selectConnector,
} from "./smtp/mod.ts";

export interface ExplainQuery {
  readonly from: Address | null;
  readonly to: readonly Address[];
  readonly clientAddress: string;
  readonly localPort: number | undefined;
  /** Authenticated as this user. */
  readonly user: string | undefined;
  readonly header: readonly HeaderField[];
  readonly body: Uint8Array;
}

export interface Explanation {
  readonly receive: {
    readonly connector: string | undefined;
    readonly binding: string;
    readonly why: string;
    readonly candidates: readonly {
      readonly connector: string;
      readonly range: string;
      readonly verdict: string;
    }[];
  };
  readonly sender: string;
  readonly recipients: readonly { readonly address: string; readonly answer: string }[];
  readonly resolution: readonly {
    readonly from: string;
    readonly kind: string;
    readonly to: string;
    readonly reason: string;
  }[];
  readonly rules: readonly {
    readonly rule: string;
    readonly outcome: string;
    readonly actions: readonly string[];
    readonly predicates: readonly string[];
  }[];
  readonly routes: readonly {
    readonly recipient: string;
    readonly connector: string;
    readonly addressSpace: string;
    readonly verdict: string;
  }[];
  readonly copies: readonly {
    readonly queue: string;
    readonly nextHop: string;
    readonly recipients: string;
    readonly edits: readonly string[];
    readonly reason: string;
  }[];
  readonly failed: readonly { readonly recipient: string; readonly status: string; readonly text: string }[];
}

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
    session === undefined ? NO_SESSION(query) : explainPermissions(pipeline, session, query);
  const message = messageOf(query, session);
  const limits = { maxParts: 10_000, maxDepth: 100, maxText: MAX_TEXT };
  const now = systemClock.now();
  const item = {
    message,
    queue: "Submission",
    nextHop: undefined,
    status: "Ready",
    dueAt: now,
    expiresAt: now,
    attempts: 0,
    delayNotified: false,
    lastError: undefined,
    crashes: 0,
  } as const;
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

function explainReceive(
  { snapshot }: Configuration,
  { clientAddress, localPort }: ExplainQuery,
): Pick<Explanation, "receive"> {
  const { address, port } = localEnd(snapshot, localPort);
  const table = createConnectorTable(snapshot.receiveConnectors);
  const choice = selectConnector(table, { address, port }, clientAddress);
  const why =
    choice.connector === undefined
      ? `no receive connector on port ${port} holds ${clientAddress}: refused 554`
      : `${choice.range} is the most specific range that holds ${clientAddress}`;
  const candidates = choice.candidates.map((candidate) => ({ ...candidate, range: candidate.range ?? "" }));
  return { receive: { connector: choice.connector?.name, binding: `port ${port}`, why, candidates } };
}

/** The port asked for or the lowest one, at every address, or at the binding's own when the port has no such binding. */
function localEnd(snapshot: Configuration["snapshot"], asked: number | undefined) {
  const bindings = snapshot.receiveConnectors.flatMap((connector) => connector.bindings);
  const port = asked ?? bindings.map((binding) => binding.port).toSorted((a, b) => a - b)[0] ?? 25;
  const addresses = bindings.filter((binding) => binding.port === port).map(({ address = "" }) => address);
  const isWide = addresses.some((address) => address === "" || address === "0.0.0.0" || address === "::");
  return { port, address: (isWide ? undefined : addresses[0]) ?? "127.0.0.1" };
}

function sessionOf(
  { snapshot }: Configuration,
  query: ExplainQuery,
  name: string | undefined,
): SmtpSession | undefined {
  const connector = snapshot.receiveConnectors.find((entry) => entry.name === name);
  if (connector === undefined) return undefined;
  const local = localEnd(snapshot, query.localPort);
  const external = connector.authMechanisms.includes("ExternalAuthoritative");
  const relays = connector.permissionGroups.includes("Relay");
  const authenticated = query.user !== undefined && connector.permissionGroups.includes("AuthenticatedUsers");
  return {
    id: "explain",
    clientAddress: query.clientAddress,
    clientPort: 0,
    localAddress: local.address,
    localPort: local.port,
    connector: connector.name,
    helo: "explain",
    extended: true,
    tls: undefined,
    user: query.user,
    internal: query.user !== undefined || external,
    mayRelay: authenticated || relays || external,
  };
}

const NO_SESSION = ({ from }: ExplainQuery) => ({
  sender: from === null ? "<>" : formatAddress(from),
  recipients: [],
});

function explainPermissions(pipeline: Pipeline, session: SmtpSession, { from, to }: ExplainQuery) {
  const connector = pipeline.snapshot.receiveConnectors.find(({ name }) => name === session.connector);
  if (connector === undefined) return NO_SESSION({ from } as ExplainQuery);
  const say = (answer: ReturnType<typeof checkSender>) =>
    answer === undefined ? "accepted" : formatReply(answer.reply);
  const { domains } = pipeline;
  return {
    sender: `${from === null ? "<>" : formatAddress(from)}: ${say(checkSender(session, from, { connector, domains }))}`,
    recipients: to.map((address) => ({
      address: formatAddress(address),
      answer: say(checkRecipient(session, namedByLiteral(session, address), { connector, domains })),
    })),
  };
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
