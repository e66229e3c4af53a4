/** ReceiveConnector: who may connect, how, and with which rights and limits. Names follow Exchange's Set-ReceiveConnector. */
import { z } from "zod";
import { AGENT_NAMES } from "./agents.ts";
import { withCheck, wordSet } from "./checks.ts";
import {
  DnsLabel,
  Duration,
  enabled,
  PositiveDuration,
  PositiveQuantity,
  SecretRef,
  transportRefs,
} from "./common.ts";
import { AddressPattern, IpRangeText, IpText, OneLine } from "./formats.ts";
import { checkReceiveConnector, RECEIVE_CONNECTOR_RULES } from "./receive-connector-checks.ts";

const unlimitedInt = (value: number) => z.number().int().min(1).default(value);

const Spec = z.strictObject({
  transportRefs,
  enabled,
  bindings: z
    .array(
      z.strictObject({
        address: IpText.optional().describe("Local address; default: every address, IPv4 and IPv6."),
        port: z.number().int().min(0).max(65535).describe("TCP port; 0: any free one, for tests."),
      }),
    )
    .min(1)
    .max(32)
    .describe("Where to listen."),
  remoteIPRanges: z
    .array(IpRangeText)
    .min(1)
    .max(512)
    .meta({ "x-kubernetes-list-type": "set" })
    .default(["0.0.0.0/0", "::/0"])
    .describe(
      "Clients this connector serves: address, CIDR or first-last. The most specific range on a binding wins.",
    ),
  fqdn: DnsLabel.optional().describe("Name in banner, EHLO and Received; default: the transport's hostname."),
  banner: OneLine.max(200).optional().describe("Text after `220 <fqdn> ESMTP`."),
  permissionGroups: wordSet(["AnonymousUsers", "AuthenticatedUsers", "Relay"])
    .min(1)
    .default(["AnonymousUsers"])
    .describe(
      "AnonymousUsers may send to accepted domains. AuthenticatedUsers may send anywhere once authenticated. Relay: every client of the ranges may send anywhere; refused on wide ranges.",
    ),
  authMechanisms: wordSet(["Tls", "BasicAuth", "BasicAuthRequireTLS", "ExternalAuthoritative"])
    .default(["Tls"])
    .describe(
      "Tls offers STARTTLS. BasicAuth offers AUTH PLAIN and LOGIN even without TLS; BasicAuthRequireTLS only under TLS. ExternalAuthoritative: clients are secured by other means, their mail counts as internal.",
    ),
  credentialsRef: SecretRef.optional().describe(
    "Secret whose key `users` holds one `name:password` a line; the password plain or as $scrypt$ (npx postroom hash-password).",
  ),
  sendAs: z
    .array(
      z.strictObject({
        user: z.string().min(1).max(320).describe("User name of AUTH, or * for every user."),
        addresses: z.array(AddressPattern).min(1).max(1000).describe("Addresses, *@domain, or * for any."),
      }),
    )
    .max(1000)
    .default([])
    .describe("Senders a user may use besides its own name, as in Exchange's Send As."),
  acceptAuthoritativeDomainSender: z
    .boolean()
    .default(true)
    .describe("False: unauthenticated clients may not use senders in our accepted domains (550 5.7.60)."),
  tls: z
    .strictObject({
      mode: z
        .enum(["None", "Opportunistic", "Required", "Implicit"])
        .default("Opportunistic")
        .describe("Implicit is TLS from the first byte (port 465)."),
      certificateRefs: z
        .array(SecretRef)
        .max(32)
        .default([])
        .describe("kubernetes.io/tls Secrets; chosen by SNI, the first is the default."),
      minVersion: z.enum(["TLSv1.2", "TLSv1.3"]).default("TLSv1.2").describe("Oldest TLS version."),
    })
    .prefault({})
    .describe("TLS towards the clients."),
  maxMessageSize: PositiveQuantity.default("36Mi").describe("Offered in SIZE and enforced: 552 5.3.4."),
  maxHeaderSize: PositiveQuantity.default("256Ki").describe("Header block beyond this: 552 5.3.4."),
  maxRecipientsPerMessage: unlimitedInt(200).describe("Further RCPT: 452 4.5.3."),
  maxInboundConnection: unlimitedInt(5000).describe("Sessions of this connector; further ones: 421 4.3.2."),
  maxInboundConnectionPerSource: unlimitedInt(20).describe(
    "Sessions of one client address; further ones: 421 4.7.0.",
  ),
  messageRateLimit: z
    .number()
    .int()
    .min(1)
    .optional()
    .describe("Messages a minute; further MAIL: 421 4.4.2. Left out: unlimited."),
  messageRateSource: z
    .enum(["IPAddress", "User", "All"])
    .default("IPAddress")
    .describe("What messageRateLimit counts by."),
  maxMessagesPerConnection: z
    .number()
    .int()
    .min(1)
    .optional()
    .describe("Then 421 4.7.0. Left out: unlimited."),
  maxHopCount: unlimitedInt(60).describe("Received fields beyond this: 554 5.4.6, a loop."),
  maxProtocolErrors: unlimitedInt(5).describe("Errors in a session, then 421 4.7.0."),
  maxLogonFailures: unlimitedInt(3).describe("Failed AUTH in a session, then 421 4.7.0."),
  tarpitInterval: Duration.default("5s").describe(
    "Delay of 5yz replies to clients that have not authenticated; 0s: none.",
  ),
  connectionTimeout: PositiveDuration.default("10m").describe(
    "Longest session that sends nothing but commands; a transaction in progress may end.",
  ),
  connectionInactivityTimeout: PositiveDuration.default("5m").describe(
    "Silence after which a session is closed 421 4.4.2.",
  ),
  minDataRate: z
    .number()
    .int()
    .min(0)
    .default(500)
    .describe("Octets a second, averaged over a minute, below which DATA is cut off 421 4.4.2; 0: none."),
  greetingDelay: Duration.default("0s").describe(
    "Wait before the banner; a client that talks before it is refused 554 5.5.0.",
  ),
  bareLinefeedNormalizationRanges: z
    .array(IpRangeText)
    .max(64)
    .default([])
    .describe(
      "Clients whose bare CR and LF are turned into CRLF. All others are refused 550 5.6.11 (SMTP smuggling).",
    ),
  eightBitMimeEnabled: z.boolean().default(true).describe("Offer 8BITMIME (RFC 6152)."),
  smtpUtf8Enabled: z.boolean().default(true).describe("Offer SMTPUTF8 (RFC 6531)."),
  chunkingEnabled: z.boolean().default(true).describe("Offer CHUNKING (RFC 3030)."),
  binaryMimeEnabled: z.boolean().default(true).describe("Offer BINARYMIME (RFC 3030); needs CHUNKING."),
  deliveryStatusNotificationEnabled: z.boolean().default(true).describe("Offer DSN (RFC 3461)."),
  disabledAgents: wordSet(AGENT_NAMES)
    .default([])
    .describe("Agents, by property name, that do not run for this connector."),
  proxyProtocol: z
    .strictObject({
      trustedCIDRs: z
        .array(IpRangeText)
        .min(1)
        .max(64)
        .describe("Balancers that must begin with a PROXY v1 or v2 header. Others may not."),
    })
    .optional()
    .describe("Clients behind a balancer that speaks the PROXY protocol."),
  protocolLoggingLevel: z
    .enum(["None", "Verbose"])
    .default("None")
    .describe("Verbose logs the dialogue, never content or credentials."),
});

export const ReceiveConnectorSpec = withCheck(Spec, checkReceiveConnector, ...RECEIVE_CONNECTOR_RULES);
export type ReceiveConnectorSpec = z.infer<typeof ReceiveConnectorSpec>;
