/** SendConnector: which mail leaves this way, to whom, and how. Names follow Exchange's Set-SendConnector. */
import { z } from "zod";
import { DnsLabel, Duration, enabled, Quantity, SecretRef, transportRefs } from "./common.ts";

export const SendConnectorSpec = z.strictObject({
  transportRefs,
  enabled,
  addressSpaces: z
    .array(
      z.strictObject({
        domain: z
          .string()
          .min(1)
          .max(255)
          .describe("contoso.example, *.contoso.example (the domain and its subdomains), or *."),
        cost: z
          .number()
          .int()
          .min(1)
          .max(100)
          .default(1)
          .describe("Lower wins among equally specific spaces."),
      }),
    )
    .min(1)
    .max(1000)
    .describe("Recipient domains that leave by this connector."),
  transportRuleScoped: z
    .boolean()
    .default(false)
    .describe("True: only rules (routeMessageOutboundConnector) choose this connector."),
  routing: z
    .strictObject({
      type: z
        .enum(["SmartHost", "MX", "Drop"])
        .describe("SmartHost: the listed hosts. MX: by DNS. Drop: files in a folder."),
      smartHosts: z
        .array(
          z.strictObject({
            host: z.string().min(1).max(255).describe("Name or address."),
            port: z.number().int().min(1).max(65535).optional().describe("Default 25, for LMTP 24."),
            protocol: z.enum(["SMTP", "LMTP"]).default("SMTP"),
            priority: z.number().int().min(0).default(0).describe("Lower first; equal ones share the load."),
          }),
        )
        .max(64)
        .default([])
        .describe("Hosts of routing type SmartHost."),
      port: z.number().int().min(1).max(65535).default(25).describe("Port for routing type MX."),
      ipFamilies: z
        .array(z.enum(["IPv4", "IPv6"]))
        .min(1)
        .default(["IPv6", "IPv4"])
        .describe("Address families to try, in order, for each host."),
      directory: z
        .string()
        .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "use a plain folder name")
        .optional()
        .describe("Folder below the state folder's drop/ for routing type Drop; one .eml file a message."),
    })
    .describe("Where the mail goes."),
  auth: z
    .strictObject({
      mechanism: z.enum(["Plain", "Login"]).default("Plain"),
      secretRef: SecretRef.describe("kubernetes.io/basic-auth Secret: username, password."),
      allowInsecure: z
        .boolean()
        .default(false)
        .describe("True: also without TLS. Never over a network you do not own."),
    })
    .optional()
    .describe("Authenticate to the next hop."),
  tls: z
    .strictObject({
      mode: z
        .enum(["None", "Opportunistic", "Required", "VerifyName"])
        .default("Opportunistic")
        .describe(
          "Opportunistic: TLS if offered, clear text after a failed handshake. Required: encrypted. VerifyName: encrypted and the certificate names the host.",
        ),
      implicit: z.boolean().default(false).describe("TLS from the first byte (port 465)."),
      serverName: DnsLabel.optional().describe("Name to verify instead of the host's."),
      caRef: SecretRef.optional().describe("Secret with ca.crt to trust instead of the system's roots."),
      clientCertificateRef: SecretRef.optional().describe("kubernetes.io/tls Secret to present."),
    })
    .prefault({}),
  fqdn: DnsLabel.optional().describe("Name in EHLO; default: the transport's hostname."),
  sourceIPAddress: z.string().optional().describe("Local address to connect from."),
  maxMessageSize: Quantity.optional().describe(
    "A connector too small for a message is skipped. Left out: unlimited.",
  ),
  maxConnections: z
    .number()
    .int()
    .min(1)
    .optional()
    .describe("Connections to one next hop; default: the transport's maxPerDomainOutboundConnections."),
  smtpMaxMessagesPerConnection: z.number().int().min(1).default(100).describe("Then a new connection."),
  connectionTimeout: Duration.default("30s").describe("To connect and be greeted."),
  connectionInactivityTimeout: Duration.default("10m").describe(
    "Wait for one reply (RFC 5321 section 4.5.3.2 asks 10 minutes for the final one).",
  ),
  protocolLoggingLevel: z
    .enum(["None", "Verbose"])
    .default("None")
    .describe("Verbose logs the dialogue, never content or credentials."),
});
export type SendConnectorSpec = z.infer<typeof SendConnectorSpec>;
