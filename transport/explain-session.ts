/** Explain, the session: connector, sender and recipients, by the code that answers them. */
import { type Address, formatAddress } from "../mail/address.ts";
import type { HeaderField } from "../mail/header.ts";
import type { Envelope } from "../mail/message.ts";
import { formatReply, type Reply } from "../mail/reply.ts";
import type { SmtpSession } from "../mail/session.ts";
import type { AgentTransaction, Verdict } from "./agents/mod.ts";
import type { Configuration } from "./configuration-source.ts";
import type { Pipeline } from "./pipeline.ts";
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

/** Which receive connector takes the client, and why. */
export function explainReceive(
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

/** The session as it would be; undefined without a connector. */
export function sessionOf(
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

export const NO_SESSION = ({ from }: ExplainQuery) => ({
  sender: from === null ? "<>" : formatAddress(from),
  recipients: [],
});

/** What MAIL and each RCPT would be answered, by smtp and by the agents. */
export async function explainPermissions(
  pipeline: Pipeline,
  session: SmtpSession,
  { from, to }: ExplainQuery,
): Promise<Pick<Explanation, "sender" | "recipients">> {
  const connector = pipeline.snapshot.receiveConnectors.find(({ name }) => name === session.connector);
  if (connector === undefined) return NO_SESSION({ from } as ExplainQuery);
  const say = (answer: { readonly reply: Reply } | undefined) =>
    answer === undefined ? "accepted" : formatReply(answer.reply);
  const { domains, agents } = pipeline;
  const transaction = transactionOf(session, from);
  const asked = async (original: Address) => {
    const address = namedByLiteral(session, original);
    const refusal = checkRecipient(session, address, { connector, domains });
    return refusal ?? replyOf(await agents.onRcpt(transaction, { address, original }));
  };
  const refusal = checkSender(session, from, { connector, domains });
  const sender = say(refusal ?? replyOf(await agents.onMail(transaction)));
  return {
    sender: `${from === null ? "<>" : formatAddress(from)}: ${sender}`,
    recipients: await Promise.all(
      to.map(async (original) => ({ address: formatAddress(original), answer: say(await asked(original)) })),
    ),
  };
}

/** What the agents of MAIL and RCPT are asked with; those that ask DNS at the connection stay silent here. */
function transactionOf(session: SmtpSession, sender: Address | null): AgentTransaction {
  const envelope: Envelope = {
    sender,
    recipients: [],
    bodyType: "8BITMIME",
    smtpUtf8: false,
    requireTls: false,
  };
  return { session, envelope, declaredSize: undefined, networkMessageId: "explain", stamps: {}, stamp() {} };
}

function replyOf(verdict: Verdict): { readonly reply: Reply } | undefined {
  return verdict !== undefined && "reply" in verdict ? verdict : undefined;
}
