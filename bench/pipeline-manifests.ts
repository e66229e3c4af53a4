/**
 * A transport with everything on: agents, accepted domains and rules of mixed kinds, of which some match each message.
 *
 * The load: mail from the loopback network, from a sender of source.example, to ann@contoso.example or to her with a
 * number below 1,000 before the name, as smtp-source counts recipients. Its body is text. The rules that match do so
 * for any such message and stand between the others, in the same order whatever the number of rules. The same options
 * give the same text.
 *
 * @module
 */
import { missRule } from "./rule-shapes.ts";

export interface PipelineOptions {
  readonly port: number;
  readonly nextHopPort: number;
  /** All of them, those that match included. */
  readonly rules?: number;
  /** At most 10. */
  readonly matching?: number;
  readonly domains?: number;
  /** At most 5. */
  readonly agents?: number;
  /** Further fields of the MailTransport's spec, as flow YAML. */
  readonly transport?: string;
}

const RECIPIENTS = 1000;

/** YAML documents: a MailTransport, connectors, accepted domains, rules. Default: 5 agents, 200 domains, 10 of 1,000 rules match. */
export function pipelineManifests(options: PipelineOptions): string {
  const { port, nextHopPort, rules = 1000, matching = 10, domains = 200, agents = 5 } = options;
  if (matching > MATCHING.length || matching > rules)
    throw new Error(`${matching} of ${rules} rules cannot match`);
  if (agents > AGENTS.length) throw new Error(`There are ${AGENTS.length} agents, not ${agents}`);
  const hub = JSON.stringify({
    hostname: "mx.contoso.example",
    queue: { retryIntervals: ["1s"] },
    agents: AGENTS.slice(0, agents),
  }).slice(0, -1);
  return [
    document(
      "MailTransport",
      "hub",
      `${hub}${options.transport === undefined ? "" : `, ${options.transport}`}}`,
    ),
    document("ReceiveConnector", "in", {
      bindings: [{ address: "127.0.0.1", port }],
      maxInboundConnection: 20_000,
      maxInboundConnectionPerSource: 20_000,
    }),
    document("SendConnector", "out", {
      addressSpaces: [{ domain: "*" }],
      routing: { type: "SmartHost", smartHosts: [{ host: "127.0.0.1", port: nextHopPort }] },
      tls: { mode: "None" },
    }),
    ...range(domains, acceptedDomain),
    ...ruleSpecs(rules, matching).map((spec, n) =>
      document("TransportRule", `rule-${n}`, { priority: n, ...spec }),
    ),
  ].join("---\n");
}

const AGENTS = [
  {
    connectionFilter: {
      ipAllowList: range(50, (n) => ({ range: `192.0.2.${n}` })),
      ipBlockList: range(200, (n) => ({ range: `203.0.113.${n}` })),
    },
  },
  {
    senderFilter: {
      blockedSenders: range(200, (n) => `offers${n}@spam.example`),
      blockedDomains: range(200, (n) => `junk${n}.example`),
      blockedDomainsAndSubdomains: range(200, (n) => `bulk${n}.example`),
    },
  },
  { recipientFilter: { blockedRecipients: range(50, (n) => `machine${n}@contoso.example`) } },
  { headerFirewall: {} },
  {
    attachmentFilter: {
      entries: [
        ...["vbs", "exe", "scr", "js", "bat", "cmd"].map((extension) => ({ pattern: `*.${extension}` })),
        { type: "ContentType", pattern: "application/x-msdownload" },
      ],
    },
  },
];

/** Each holds for every message of the load and does something to it; the fourth by what the third did. */
const MATCHING = [
  {
    conditions: { senderDomainIs: ["source.example"] },
    actions: { setHeader: [{ name: "X-Partner", value: "source" }] },
  },
  {
    conditions: { fromScope: "NotInOrganization", recipientDomainIs: ["contoso.example"] },
    actions: { prependSubject: "[EXTERNAL] " },
  },
  { conditions: { senderIpRanges: ["127.0.0.0/8", "::1"] }, actions: { setScl: 3 } },
  {
    conditions: { sclOver: 2, stampIs: { name: "SCL", values: ["3", "4"] } },
    actions: { setHeader: [{ name: "X-Spam-Level", value: "***" }] },
  },
  {
    conditions: { messageSizeOver: "100" },
    actions: { logEventText: "larger than 100 octets", removeHeader: ["X-Mailer"] },
  },
  {
    conditions: {
      headerMatchesPatterns: { header: "From", patterns: ["^<?[a-z0-9.]+@(?:[a-z0-9-]+\\.)+example"] },
    },
    actions: { setHeader: [{ name: "X-From-Example", value: "yes" }] },
  },
  {
    conditions: { hasAttachment: false, sentToScope: "InOrganization" },
    actions: { setHeader: [{ name: "X-Attachments", value: "none" }] },
  },
  {
    conditions: { recipientAddressMatchesPatterns: ["ann@[a-z]+\\.example$"] },
    activationDate: "2020-01-01T00:00:00Z",
    expiryDate: "2120-01-01T00:00:00Z",
    actions: { setHeader: [{ name: "X-Seen-For", value: "Ann" }] },
  },
  {
    conditions: { fromAddressContainsWords: ["source"] },
    exceptions: { subjectContainsWords: ["no disclaimer"] },
    actions: {
      applyHtmlDisclaimer: {
        html: "<p><small>This message came from outside. Be careful with links.</small></p>",
        text: "This message came from outside. Be careful with links.",
        fallbackAction: "Ignore",
      },
    },
  },
  {
    conditions: { subjectOrBodyMatchesPatterns: ["[a-z]{3,}"] },
    exceptions: { headerContainsWords: { header: "X-Loop", words: ["contoso"] } },
    actions: { setHeader: [{ name: "X-Loop", value: "contoso" }], logEventText: "text seen" },
  },
];

/** Those that match, evenly between the others. */
function ruleSpecs(count: number, matching: number): object[] {
  const distance = count / matching;
  const places = new Map(range(matching, (n) => [Math.floor(n * distance), MATCHING[n] ?? {}]));
  return range(
    count,
    (n) =>
      places.get(n) ?? { ...missRule(n), actions: { setHeader: [{ name: "X-Missed", value: String(n) }] } },
  );
}

/** The first holds Ann; the others are of all types and know some recipients each. */
function acceptedDomain(n: number): string {
  const domain = n === 0 ? "contoso.example" : `subsidiary${n}.example`;
  if (n === 0) {
    const addresses = ["ann@contoso.example", ...range(RECIPIENTS, (m) => `${m}ann@contoso.example`)];
    return document("AcceptedDomain", "contoso", {
      domains: [domain],
      recipients: { validation: "Reject", addresses },
    });
  }
  const type = ["Authoritative", "InternalRelay", "ExternalRelay"][n % 3];
  return document("AcceptedDomain", `subsidiary${n}`, {
    domains: n % 10 === 0 ? [domain, `*.${domain}`] : [domain],
    type,
    recipients: {
      addresses: range(20, (m) => `user${m}@${domain}`),
      aliases: [{ alias: `first@${domain}`, address: `user0@${domain}` }],
      groups: [{ address: `all@${domain}`, members: range(20, (m) => `user${m}@${domain}`) }],
    },
  });
}

/** `spec`: flow YAML, or what becomes it. */
function document(kind: string, name: string, spec: object | string): string {
  return `apiVersion: postroom.dev/v1alpha1
kind: ${kind}
metadata: {name: ${name}}
spec: ${typeof spec === "string" ? spec : JSON.stringify(spec)}
`;
}

function range<Item>(length: number, make: (n: number) => Item): Item[] {
  return Array.from({ length }, (_, n) => make(n));
}
