/** What an agent is shown, for its tests: sessions, transactions, content, messages and tools, all plain values. */
import { parseAddress } from "../../mail/address.ts";
import { parseHeader } from "../../mail/header.ts";
import type { Message, Recipient } from "../../mail/message.ts";
import type { MimePart, MimeSummary } from "../../mail/mime.ts";
import type { SmtpSession } from "../../mail/session.ts";
import { createDomainTable } from "../../snapshot/domain-table.ts";
import type { AgentContent, AgentRouting, AgentTools } from "../../transport/agents/mod.ts";

export function makeSession(facts: Partial<SmtpSession> = {}): SmtpSession {
  return {
    id: "session-1",
    clientAddress: "192.0.2.1",
    clientPort: 1024,
    localAddress: "192.0.2.25",
    localPort: 25,
    connector: "mail/internet",
    helo: "client.example",
    extended: true,
    tls: undefined,
    user: undefined,
    internal: false,
    mayRelay: false,
    ...facts,
  };
}

export function makeRecipient(text: string): Recipient {
  const address = parseAddress(text) ?? { localPart: text, domain: "" };
  return { address, original: address };
}

export interface ContentFacts {
  readonly session?: SmtpSession;
  /** null: the null sender. */
  readonly sender?: string | null;
  /** Header block, CRLF line ends. */
  readonly header?: string;
  readonly parts?: readonly Partial<MimePart>[];
  readonly tooComplex?: boolean;
}

/** Serves every event from OnMail on. `stripped` and `stamps` show what the agent did; header shows what it left. */
export function makeContent(facts: ContentFacts = {}): AgentContent & { readonly stripped: string[] } {
  const stamps: Record<string, string> = {};
  const stripped: string[] = [];
  const sender = facts.sender === null ? null : makeRecipient(facts.sender ?? "ann@away.example").address;
  const content = {
    networkMessageId: "network-1",
    session: facts.session ?? makeSession(),
    envelope: { sender, recipients: [], bodyType: "7BIT" as const, smtpUtf8: false, requireTls: false },
    declaredSize: undefined,
    stamps,
    stamp: (name: string, value: string) => {
      stamps[name] = value;
    },
    header: parseHeader(facts.header ?? "From: ann@away.example\r\n"),
    setHeader: (header: AgentContent["header"]) => {
      content.header = [...header];
    },
    body: { kind: "inline" as const, bytes: new Uint8Array(0), size: 0 },
    mime: () => Promise.resolve(makeMime(facts)),
    async *read() {
      yield new Uint8Array(0);
    },
    stripped,
    stripAttachments: (paths: readonly string[]) => {
      stripped.push(...paths);
      return Promise.resolve();
    },
  };
  return content;
}

export function makeMessage(facts: Partial<Message["origin"]> = {}): Message {
  return {
    id: "message-1",
    networkMessageId: "network-1",
    envelope: { sender: null, recipients: [], bodyType: "7BIT", smtpUtf8: false, requireTls: false },
    origin: {
      receivedAt: 0,
      clientAddress: "192.0.2.1",
      helo: "client.example",
      connector: "mail/internet",
      internal: false,
      ...facts,
    },
    header: [],
    body: { kind: "inline", bytes: new Uint8Array(0), size: 0 },
    priority: "Normal",
    stamps: {},
  };
}

/** Serves the categorizer's events. */
export function makeRouting(message: Message = makeMessage()): AgentRouting {
  return { message, recipients: [], stamp: () => {}, mime: () => Promise.resolve(makeMime({})) };
}

export interface LogLine {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export interface ToolFacts {
  readonly now?: () => number;
  readonly domains?: AgentTools["domains"];
  readonly addresses?: AgentTools["resolver"]["addresses"];
  readonly sleep?: AgentTools["sleep"];
}

/** Tools whose log is read back; sleep never ends unless one is given. */
export function makeTools(facts: ToolFacts = {}): AgentTools & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const write = (fields: object, message: string) => {
    lines.push({ fields: { ...fields }, message });
  };
  return {
    now: facts.now ?? (() => 0),
    domains: facts.domains ?? createDomainTable([]),
    resolver: {
      addresses: facts.addresses ?? (() => Promise.resolve([])),
      texts: () => Promise.resolve([]),
    },
    log: { info: write, warn: write },
    sleep: facts.sleep ?? (() => new Promise(() => {})),
    lines,
  };
}

function makeMime({ parts = [], tooComplex = false }: ContentFacts): MimeSummary {
  return {
    parts: parts.map((part, index) => ({
      contentType: "application/octet-stream",
      sniffedType: undefined,
      fileName: undefined,
      attachment: true,
      size: 1,
      charset: undefined,
      path: String(index + 1),
      ...part,
    })),
    text: "",
    textLength: 0,
    tooComplex,
    contentType: "multipart/mixed",
  };
}
