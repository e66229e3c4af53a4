/**
 * Builders for tests that deliver.
 *
 *   const connector = sendConnector({ port: sink.port });                       // smart host at 127.0.0.1
 *   const connector = sendConnector({ port, routing: { type: "MX", port } });    // parts of routing, tls, the rest
 *   const bench = deliveryBench();                    // a Delivery with fake dice, logs kept in bench.lines
 *   const result = await bench.send(connector, { to: ["ann@example.com"], body: "hi\r\n" });
 *   await bench.close();
 *
 * @module
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { systemClock } from "../../lib/clock.ts";
import { type Address, parseAddress } from "../../mail/address.ts";
import { parseHeader } from "../../mail/header.ts";
import type { Body, Envelope, Message, Recipient } from "../../mail/message.ts";
import { type NextHop, nextHop } from "../../mail/next-hop.ts";
import type { Secrets, SendConnectorEntry } from "../../snapshot/schema.ts";
import {
  createDelivery,
  type Delivery,
  type DeliveryDeps,
  type DeliveryJob,
  type DeliveryResult,
  systemResolver,
} from "../../transport/delivery/mod.ts";

type Parts = Partial<Omit<SendConnectorEntry, "routing" | "tls">> & {
  readonly port?: number;
  readonly routing?: Partial<SendConnectorEntry["routing"]>;
  readonly tls?: Partial<SendConnectorEntry["tls"]>;
};

export function sendConnector({ port = 25, routing, tls, ...rest }: Parts): SendConnectorEntry {
  const host = { host: "127.0.0.1", port, protocol: "SMTP", priority: 0 } as const;
  const base = { type: "SmartHost", smartHosts: [host], port, ipFamilies: ["IPv6", "IPv4"] } as const;
  return {
    name: "default/out",
    fqdn: "hub.test",
    addressSpaces: [{ domain: "*", cost: 1 }],
    transportRuleScoped: false,
    routing: { ...base, smartHosts: [host], ipFamilies: ["IPv6", "IPv4"], ...routing },
    tls: {
      mode: "Opportunistic",
      implicit: false,
      serverName: undefined,
      ca: undefined,
      clientCertificate: undefined,
      ...tls,
    },
    auth: undefined,
    maxConnections: 20,
    maxMessageSize: undefined,
    smtpMaxMessagesPerConnection: 100,
    connectionTimeoutMs: 20_000,
    connectionInactivityTimeoutMs: 20_000,
    protocolLoggingLevel: "None",
    ...rest,
  };
}

export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`"${text}" is no address`);
  return parsed;
}

export function recipient(text: string, rest: Partial<Recipient> = {}): Recipient {
  return { address: address(text), original: address(text), ...rest };
}

export interface MessageParts {
  readonly from?: string | null;
  readonly header?: string;
  readonly body?: string | Uint8Array;
  readonly envelope?: Partial<Envelope>;
  readonly id?: string;
}

let made = 0;

export function message(parts: MessageParts = {}): Message {
  const { from = "sender@contoso.example", header = "Subject: test\r\n", body = "body\r\n" } = parts;
  made += 1;
  const bytes = typeof body === "string" ? Buffer.from(body, "latin1") : body;
  return {
    id: parts.id ?? `M${made}`,
    networkMessageId: `network-${made}`,
    envelope: {
      sender: from === null ? null : address(from),
      recipients: [],
      bodyType: "7BIT",
      smtpUtf8: false,
      requireTls: false,
      ...parts.envelope,
    },
    origin: { receivedAt: 0, clientAddress: "", helo: "", connector: "", internal: false },
    header: parseHeader(header),
    body: { kind: "inline", bytes, size: bytes.length },
    priority: "Normal",
    stamps: {},
  };
}

export interface SendParts extends MessageParts {
  readonly to?: readonly (string | Recipient)[];
  readonly domain?: string;
  readonly requireTls?: boolean;
  readonly message?: Message;
}

export interface DeliveryBench {
  readonly delivery: Delivery;
  /** Log lines, parsed. */
  readonly lines: Record<string, unknown>[];
  /** "connection opened", "recipient relayed": what was counted. */
  readonly counted: string[];
  send(connector: SendConnectorEntry, parts?: SendParts): Promise<DeliveryResult>;
  close(): Promise<void>;
}

export function deliveryBench(deps: Partial<DeliveryDeps> & { secretsAre?: Secrets } = {}): DeliveryBench {
  const lines: Record<string, unknown>[] = [];
  const counted: string[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line));
  const secrets: Secrets = deps.secretsAre ?? new Map();
  const delivery = createDelivery({
    resolver: systemResolver(),
    secrets: () => secrets,
    readBody: readInline,
    clock: systemClock,
    log: pino({}, { write }),
    dropDirectory: join(tmpdir(), "postroom-test-drop"),
    limits: () => ({ maxOutboundConnections: 100 }),
    count: (event, labels) => counted.push([event, labels.result].filter(Boolean).join(" ")),
    random: () => 0.5,
    ...deps,
  });
  return {
    delivery,
    lines,
    counted,
    send: (connector, parts = {}) => delivery.deliver(deliveryJob(connector, parts)),
    close: () => delivery.close(),
  };
}

export function deliveryJob(connector: SendConnectorEntry, parts: SendParts = {}): DeliveryJob {
  const { to = ["ann@example.com"], domain, requireTls = false } = parts;
  const recipients = to.map((one) => (typeof one === "string" ? recipient(one) : one));
  const looked = domain ?? (connector.routing.type === "MX" ? (recipients[0]?.address.domain ?? "") : "");
  return {
    message: parts.message ?? message(parts),
    recipients,
    nextHop: hop(connector, looked, requireTls),
    connector,
  };
}

function hop(connector: SendConnectorEntry, domain: string, requireTls: boolean): NextHop {
  return nextHop(connector.name, domain, requireTls);
}

async function* readInline(body: Body): AsyncIterable<Uint8Array> {
  if (body.kind === "inline") yield body.bytes;
}

/** "delivered 2.0.0" of each outcome. */
export function resultsOf({ outcomes }: DeliveryResult): string[] {
  return outcomes.map(({ result, status }) => `${result} ${status}`);
}
