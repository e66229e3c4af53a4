/** SendConnector: which mail leaves this way, to whom, and how. Names follow Exchange's Set-SendConnector. */
import { z } from "zod";
import { type ReportFault, reportDuplicates, withCheck, wordSet } from "./checks.ts";
import { DnsLabel, enabled, PositiveDuration, PositiveQuantity, SecretRef, transportRefs } from "./common.ts";
import { AddressSpaceDomain, HostText, IpText, normalizeDomainPattern } from "./formats.ts";
import { type CelRule, matching } from "./validation.ts";

const Spec = z.strictObject({
  transportRefs,
  enabled,
  addressSpaces: z
    .array(
      z.strictObject({
        domain: AddressSpaceDomain.describe(
          "contoso.example, *.contoso.example (the domain and its subdomains), or *.",
        ),
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
    .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["domain"] })
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
            host: HostText.describe("Name or address."),
            port: z.number().int().min(1).max(65535).optional().describe("Default 25, for LMTP 24."),
            protocol: z
              .enum(["SMTP", "LMTP"])
              .default("SMTP")
              .describe("LMTP (RFC 2033): the host answers for each recipient."),
            priority: z.number().int().min(0).default(0).describe("Lower first; equal ones share the load."),
          }),
        )
        .max(64)
        .default([])
        .describe("Hosts of routing type SmartHost."),
      port: z.number().int().min(1).max(65535).default(25).describe("Port for routing type MX."),
      ipFamilies: wordSet(["IPv4", "IPv6"])
        .min(1)
        .default(["IPv6", "IPv4"])
        .describe("Address families to try, in order, for each host."),
      directory: matching(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "use a plain folder name")
        .max(255)
        .optional()
        .describe("Folder below the state folder's drop/ for routing type Drop; one .eml file a message."),
    })
    .describe("Where the mail goes."),
  auth: z
    .strictObject({
      mechanism: z.enum(["Plain", "Login"]).default("Plain").describe("SASL mechanism."),
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
    .prefault({})
    .describe("How the connection to the next hop is secured."),
  fqdn: DnsLabel.optional().describe("Name in EHLO; default: the transport's hostname."),
  sourceIPAddress: IpText.optional().describe("Local address to connect from."),
  maxMessageSize: PositiveQuantity.optional().describe(
    "A connector too small for a message is skipped. Left out: unlimited.",
  ),
  maxConnections: z
    .number()
    .int()
    .min(1)
    .optional()
    .describe("Connections to one next hop; default: the transport's maxPerDomainOutboundConnections."),
  smtpMaxMessagesPerConnection: z.number().int().min(1).default(100).describe("Then a new connection."),
  connectionTimeout: PositiveDuration.default("30s").describe("To connect and be greeted."),
  connectionInactivityTimeout: PositiveDuration.default("10m").describe(
    "Wait for one reply (RFC 5321 section 4.5.3.2 asks 10 minutes for the final one).",
  ),
  protocolLoggingLevel: z
    .enum(["None", "Verbose"])
    .default("None")
    .describe("Verbose logs the dialogue, never content or credentials."),
});

const NO_HOST = "routing type SmartHost needs at least one host";
const NO_DIRECTORY = "routing type Drop needs a directory";
const CLEAR_TEXT = "would send the password in clear text: raise tls.mode, or set allowInsecure: true";
const IMPLICIT_NONE = "needs a tls.mode other than None";

type SpecOutput = z.output<typeof Spec>;

function checkSendConnector(spec: SpecOutput, fault: ReportFault): void {
  checkRouting(spec.routing, fault);
  checkSecurity(spec, fault);
  reportDuplicates(
    spec.addressSpaces.map(({ domain }) => (domain === "*" ? "*" : normalizeDomainPattern(domain))),
    (index, first) => fault(["addressSpaces", index, "domain"], `stands already in addressSpaces[${first}]`),
  );
}

function checkRouting({ type, smartHosts, directory }: SpecOutput["routing"], fault: ReportFault): void {
  if (type === "SmartHost" && smartHosts.length === 0) {
    fault(["routing", "smartHosts"], NO_HOST);
  }
  if (type !== "SmartHost" && smartHosts.length > 0) {
    const lmtp = smartHosts.some(({ protocol }) => protocol === "LMTP") ? " (LMTP too needs SmartHost)" : "";
    fault(["routing", "smartHosts"], `only for routing type SmartHost, not ${type}${lmtp}`);
  }
  if (type === "Drop" && directory === undefined) {
    fault(["routing", "directory"], NO_DIRECTORY);
  }
  if (type !== "Drop" && directory !== undefined) {
    fault(["routing", "directory"], `only for routing type Drop, not ${type}`);
  }
}

function checkSecurity({ auth, tls, routing }: SpecOutput, fault: ReportFault): void {
  if (auth !== undefined && routing.type !== "SmartHost") {
    fault(["auth"], `only for routing type SmartHost, not ${routing.type}`);
  }
  if (auth !== undefined && tls.mode === "None" && !auth.allowInsecure) {
    fault(["auth"], CLEAR_TEXT);
  }
  if (tls.implicit && tls.mode === "None") fault(["tls", "implicit"], IMPLICIT_NONE);
  if (tls.caRef !== undefined && tls.mode !== "VerifyName") {
    fault(["tls", "caRef"], `only tls.mode VerifyName checks certificates, ${tls.mode} does not`);
  }
}

const LMTP_TOO = `self.routing.smartHosts.exists(host, host.protocol == 'LMTP') ? ' (LMTP too needs SmartHost)' : ''`;
const RULES: readonly CelRule[] = [
  {
    rule: "self.routing.type != 'SmartHost' || self.routing.smartHosts.size() > 0",
    message: NO_HOST,
    fieldPath: ".routing.smartHosts",
  },
  {
    rule: "self.routing.type == 'SmartHost' || self.routing.smartHosts.size() == 0",
    messageExpression: `'only for routing type SmartHost, not ' + self.routing.type + (${LMTP_TOO})`,
    fieldPath: ".routing.smartHosts",
  },
  {
    rule: "self.routing.type != 'Drop' || has(self.routing.directory)",
    message: NO_DIRECTORY,
    fieldPath: ".routing.directory",
  },
  {
    rule: "self.routing.type == 'Drop' || !has(self.routing.directory)",
    messageExpression: "'only for routing type Drop, not ' + self.routing.type",
    fieldPath: ".routing.directory",
  },
  {
    rule: "!has(self.auth) || self.routing.type == 'SmartHost'",
    messageExpression: "'only for routing type SmartHost, not ' + self.routing.type",
    fieldPath: ".auth",
  },
  {
    rule: "!has(self.auth) || self.tls.mode != 'None' || self.auth.allowInsecure",
    message: CLEAR_TEXT,
    fieldPath: ".auth",
  },
  {
    rule: "!self.tls.implicit || self.tls.mode != 'None'",
    message: IMPLICIT_NONE,
    fieldPath: ".tls.implicit",
  },
  {
    rule: "!has(self.tls.caRef) || self.tls.mode == 'VerifyName'",
    messageExpression: "'only tls.mode VerifyName checks certificates, ' + self.tls.mode + ' does not'",
    fieldPath: ".tls.caRef",
  },
];

export const SendConnectorSpec = withCheck(Spec, checkSendConnector, ...RULES);
export type SendConnectorSpec = z.infer<typeof SendConnectorSpec>;
