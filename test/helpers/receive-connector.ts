/** Builders of snapshot parts that the tests of the smtp room share. */
import type { DomainTable } from "../../snapshot/domain-table.ts";
import type { AcceptedDomainEntry, ReceiveConnectorEntry, Snapshot } from "../../snapshot/schema.ts";

/** A receive connector with the defaults of its schema, in the form of a snapshot. */
export function receiveConnector(changes: Partial<ReceiveConnectorEntry> = {}): ReceiveConnectorEntry {
  return {
    name: "default/internet",
    bindings: [{ address: "127.0.0.1", port: 0 }],
    remoteIPRanges: ["0.0.0.0/0", "::/0"],
    fqdn: "mx.contoso.example",
    banner: undefined,
    messageRateLimit: undefined,
    maxMessagesPerConnection: undefined,
    proxyProtocol: undefined,
    permissionGroups: ["AnonymousUsers"],
    authMechanisms: ["Tls"],
    credentials: undefined,
    sendAs: [],
    acceptAuthoritativeDomainSender: true,
    tls: { mode: "Opportunistic", minVersion: "TLSv1.2", certificates: [] },
    maxMessageSize: 36 * 2 ** 20,
    maxHeaderSize: 256 * 2 ** 10,
    maxRecipientsPerMessage: 200,
    maxInboundConnection: 5000,
    maxInboundConnectionPerSource: 5000,
    messageRateSource: "IPAddress",
    maxHopCount: 60,
    maxProtocolErrors: 5,
    maxLogonFailures: 3,
    tarpitIntervalMs: 0,
    connectionTimeoutMs: 600_000,
    connectionInactivityTimeoutMs: 300_000,
    minDataRate: 500,
    greetingDelayMs: 0,
    bareLinefeedNormalizationRanges: [],
    eightBitMimeEnabled: true,
    smtpUtf8Enabled: true,
    chunkingEnabled: true,
    binaryMimeEnabled: true,
    deliveryStatusNotificationEnabled: true,
    disabledAgents: [],
    protocolLoggingLevel: "None",
    ...changes,
  };
}

/** A snapshot that holds nothing but receive connectors. */
export function snapshotOf(
  receiveConnectors: readonly ReceiveConnectorEntry[],
  limits: Partial<Snapshot["transport"]["limits"]> = {},
): Snapshot {
  const level = { medium: 1, high: 2 };
  return {
    version: 1,
    digest: "",
    transport: {
      name: "default/hub",
      role: "Hub",
      hostname: "mx.contoso.example",
      allowedNamespaces: { from: "Same" },
      queue: {
        storageSize: 2 ** 30,
        messageExpirationMs: 172_800_000,
        retryIntervalsMs: [60_000],
        delayNotificationMs: 14_400_000,
        poisonThreshold: 2,
      },
      limits: {
        maxInboundConnections: 10_000,
        maxOutboundConnections: 1000,
        maxPerDomainOutboundConnections: 20,
        maxMimeParts: 1000,
        maxMimeDepth: 50,
        agentTimeoutMs: 30_000,
        ...limits,
      },
      backPressure: { submissionQueue: level, diskUsedPercent: level, memoryUsedPercent: level },
      agents: [],
    },
    receiveConnectors,
    sendConnectors: [],
    acceptedDomains: [],
    rules: [],
  };
}

/** A domain table that knows these domains, exactly. */
export function domainsOf(...names: readonly string[]): DomainTable {
  const entry: AcceptedDomainEntry = {
    name: "default/contoso",
    domains: names,
    type: "Authoritative",
    recipients: { validation: "None", addresses: [], aliases: [], groups: [], forwards: [] } as never,
  };
  return {
    find: (domain) => (names.includes(domain) ? entry : undefined),
    lookup: () => undefined,
    classify: (address) => (names.includes(address.domain) ? "unlisted" : "outside"),
    isInside: (domain) => names.includes(domain),
  };
}
