/**
 * Manifests of one object each that are wrong in themselves, and what `postroom check` says of them.
 *
 * Held to the schemas by crds/manifest-reader.test.ts, and to the CRDs on a real API server by test/api/crds.test.ts.
 *
 * @module
 */
/** One manifest: line 1 apiVersion, 2 kind, 3 metadata, 4 spec, then the given lines. */
export function manifest(kind: string, spec: string): string {
  return `apiVersion: postroom.dev/v1alpha1\nkind: ${kind}\nmetadata: {name: x}\nspec:\n${spec}`;
}

const receive = (spec: string) => manifest("ReceiveConnector", `  bindings: [{port: 25}]\n${spec}`);
const send = (spec: string) => manifest("SendConnector", `  addressSpaces: [{domain: "*"}]\n${spec}`);
const rule = (spec: string) => manifest("TransportRule", `  actions: {deleteMessage: true}\n${spec}`);

const transport = (spec: string) => manifest("MailTransport", `  hostname: mx.a.example\n${spec}`);
const agent = (settings: string) => transport(`  agents: [${settings}]\n`);

const secured = "  tls: {certificateRefs: [{name: c}]}\n  credentialsRef: {name: u}\n";

export interface FaultyManifest {
  readonly name: string;
  readonly text: string;
  /** As `postroom check` prints them. */
  readonly want: readonly string[];
}

/** One field is at fault. */
export const FAULTY_FIELDS: readonly FaultyManifest[] = [
  {
    name: "an unknown field is named with the nearest one",
    text: manifest("AcceptedDomain", "  domians: [a.example]\n  domains: [b.example]\n"),
    want: ['f.yaml:5 spec.domians: unknown field, did you mean "domains"?'],
  },
  {
    name: "an unknown field in a list of objects too",
    text: manifest("ReceiveConnector", "  bindings:\n    - port: 25\n    - {port: 26, adress: 127.0.0.1}\n"),
    want: ['f.yaml:7 spec.bindings[1].adress: unknown field, did you mean "address"?'],
  },
  {
    name: "a field unlike any other gets no suggestion",
    text: manifest("AcceptedDomain", "  domains: [a.example]\n  colour: blue\n"),
    want: ["f.yaml:6 spec.colour: unknown field"],
  },
  {
    name: "a merge key is refused",
    text: manifest("AcceptedDomain", "  <<: {domains: [a.example]}\n  domains: [b.example]\n"),
    want: [
      "f.yaml:5 spec.<<: merge keys are not supported: write the fields out, or use an alias for the whole value",
    ],
  },
  {
    name: "yes and no are words, not booleans",
    text: manifest("AcceptedDomain", "  domains: [a.example]\n  enabled: yes\n"),
    want: ["f.yaml:6 spec.enabled: must be true or false, not text"],
  },
  {
    name: "a missing field is reported where its parent stands",
    text: manifest("SendConnector", "  addressSpaces:\n    - cost: 3\n  routing: {type: MX}\n"),
    want: ["f.yaml:6 spec.addressSpaces[0].domain: is missing"],
  },
  {
    name: "an enum lists its values",
    text: manifest("AcceptedDomain", "  domains: [a.example]\n  type: Authorative\n"),
    want: [
      'f.yaml:6 spec.type: must be one of Authoritative, InternalRelay, ExternalRelay, not "Authorative", did you mean "Authoritative"?',
    ],
  },
  {
    name: "an empty value is not the same as none",
    text: manifest("AcceptedDomain", "  domains: [a.example]\n  recipients:\n"),
    want: ["f.yaml:6 spec.recipients: is empty: fill it in or leave it out"],
  },
  {
    name: "a number where text belongs wants quotes",
    text: rule("  conditions: {subjectContainsWords: [123]}\n"),
    want: [
      "f.yaml:6 spec.conditions.subjectContainsWords[0]: must be text, not a number: write it in quotes",
    ],
  },
  {
    name: "a port is at most 65535",
    text: manifest("ReceiveConnector", "  bindings: [{port: 70000}]\n"),
    want: ["f.yaml:5 spec.bindings[0].port: must be at most 65535"],
  },
  {
    name: "a priority is a whole number",
    text: rule("  priority: 1.5\n"),
    want: ["f.yaml:6 spec.priority: must be a whole number, not 1.5"],
  },
  {
    name: "a list must not be empty",
    text: manifest("AcceptedDomain", "  domains: []\n"),
    want: ["f.yaml:5 spec.domains: needs at least one entry"],
  },
  {
    name: "a size is a quantity",
    text: receive("  maxMessageSize: 36MB\n"),
    want: ["f.yaml:6 spec.maxMessageSize: write a quantity such as 36Mi"],
  },
  {
    name: "a limit of nothing is refused",
    text: receive("  maxMessageSize: '0'\n"),
    want: [
      "f.yaml:6 spec.maxMessageSize: must be more than 0",
      "f.yaml:4 spec.maxHeaderSize: must not be larger than maxMessageSize",
    ].sort(),
  },
  {
    name: "a wait is a duration",
    text: receive("  tarpitInterval: 5 seconds\n"),
    want: ["f.yaml:6 spec.tarpitInterval: write a duration such as 5m or 1h30m"],
  },
  {
    name: "retries of no wait are refused",
    text: manifest("MailTransport", "  hostname: mx.a.example\n  queue: {retryIntervals: [0s]}\n"),
    want: ["f.yaml:6 spec.queue.retryIntervals[0]: must be more than 0"],
  },
  {
    name: "a date is RFC 3339",
    text: rule("  expiryDate: tomorrow\n"),
    want: ["f.yaml:6 spec.expiryDate: write an RFC 3339 time such as 2026-01-31T09:00:00Z"],
  },
  {
    name: "a range is an address, CIDR or first-last",
    text: receive("  remoteIPRanges: [10.0.0.0/33]\n"),
    want: [
      "f.yaml:6 spec.remoteIPRanges[0]: write an address, a CIDR or a first-last range, such as 192.0.2.0/24",
    ],
  },
  {
    name: "a binding's address is an IP address",
    text: manifest("ReceiveConnector", "  bindings: [{address: localhost, port: 25}]\n"),
    want: ["f.yaml:5 spec.bindings[0].address: write an IP address, such as 192.0.2.1"],
  },
  {
    name: "a wildcard inside a domain is refused",
    text: manifest("AcceptedDomain", "  domains: [mail.*.example]\n"),
    want: [
      "f.yaml:5 spec.domains[0]: write a domain, such as contoso.example or *.contoso.example; * stands only for the labels in front",
    ],
  },
  {
    name: "* alone is no accepted domain",
    text: manifest("AcceptedDomain", '  domains: ["*"]\n'),
    want: [
      "f.yaml:5 spec.domains[0]: write a domain, such as contoso.example or *.contoso.example; * stands only for the labels in front",
    ],
  },
  {
    name: "a recipient is an address",
    text: manifest("AcceptedDomain", "  domains: [a.example]\n  recipients: {addresses: [ann]}\n"),
    want: ["f.yaml:6 spec.recipients.addresses[0]: write an address, such as ann@contoso.example"],
  },
  {
    name: "a line end in a header value is refused",
    text: manifest(
      "TransportRule",
      '  actions: {setHeader: [{name: X-A, value: "a\\r\\nBcc: b@c.example"}]}\n',
    ),
    want: ["f.yaml:5 spec.actions.setHeader[0].value: keep it on one line, without control characters"],
  },
  {
    name: "a pattern with look-around is refused",
    text: rule("  conditions: {subjectMatchesPatterns: ['(?=a)b']}\n"),
    want: [
      "f.yaml:6 spec.conditions.subjectMatchesPatterns[0]: look-around is not supported: it cannot run in linear time",
    ],
  },
  {
    name: "a pattern with a back-reference is refused",
    text: rule("  conditions: {subjectMatchesPatterns: ['(a)\\1']}\n"),
    want: [
      "f.yaml:6 spec.conditions.subjectMatchesPatterns[0]: back-references are not supported: they cannot run in linear time",
    ],
  },
  {
    name: "an agent has one property an entry",
    text: manifest(
      "MailTransport",
      "  hostname: mx.a.example\n  agents: [{senderFilter: {}, recipientFilter: {}}]\n",
    ),
    want: ["f.yaml:6 spec.agents[0]: name exactly one agent per entry"],
  },
  {
    name: "an agent that does not exist cannot be disabled",
    text: receive("  disabledAgents: [spamFilter]\n"),
    want: [
      'f.yaml:6 spec.disabledAgents[0]: must be one of connectionFilter, senderFilter, recipientFilter, headerFirewall, attachmentFilter, not "spamFilter"',
    ],
  },
  {
    name: "a MailTransport's name is no longer than 52 characters",
    text: transport("").replace("name: x", `name: ${"x".repeat(53)}`),
    want: ["f.yaml:3 metadata.name: must have at most 52 characters"],
  },
  {
    name: "a MailTransport's name begins with a letter",
    text: transport("").replace("name: x", "name: 1-hub"),
    want: ["f.yaml:3 metadata.name: use lower-case letters, digits and '-', a letter first"],
  },
  {
    name: "a host name is in lower case",
    text: manifest("MailTransport", "  hostname: MX.a.example\n"),
    want: ["f.yaml:5 spec.hostname: use lower-case letters, digits, '-' and '.'"],
  },
  {
    name: "a label key has no spaces",
    text: transport("  podLabels: {my label: a}\n"),
    want: ["f.yaml:6 spec.podLabels.my label: write a label key, such as app or example.com/app"],
  },
  {
    name: "a selector's key has no spaces",
    text: transport(
      "  allowedNamespaces: {from: Selector, selector: {matchExpressions: [{key: a b, operator: Exists}]}}\n",
    ),
    want: [
      "f.yaml:6 spec.allowedNamespaces.selector.matchExpressions[0].key: write a label key, such as app or example.com/app",
    ],
  },
  {
    name: "a label value has no spaces",
    text: transport("  nodeSelector: {a: b c}\n"),
    want: ["f.yaml:6 spec.nodeSelector.a: use letters, digits, '-', '_' and '.', at most 63"],
  },
  {
    name: "an image is one word",
    text: transport("  image: my image\n"),
    want: ["f.yaml:6 spec.image: write an image, such as registry.example/postroom:1.0"],
  },
  {
    name: "a resource is a quantity",
    text: transport("  resources: {limits: {cpu: two}}\n"),
    want: ["f.yaml:6 spec.resources.limits.cpu: write a quantity such as 500m or 512Mi"],
  },
  {
    name: "a load balancer's class is one word",
    text: transport("  service: {type: LoadBalancer, loadBalancerClass: a b}\n"),
    want: ["f.yaml:6 spec.service.loadBalancerClass: write a class such as example.com/internal"],
  },
  {
    name: "a load balancer's source ranges are CIDRs",
    text: transport("  service: {type: LoadBalancer, loadBalancerSourceRanges: [192.0.2.1-192.0.2.9]}\n"),
    want: ["f.yaml:6 spec.service.loadBalancerSourceRanges[0]: write a CIDR, such as 192.0.2.0/24"],
  },
  {
    name: "a range in a block list is an address, CIDR or first-last",
    text: agent("{connectionFilter: {ipBlockList: [{range: everybody}]}}"),
    want: [
      "f.yaml:6 spec.agents[0].connectionFilter.ipBlockList[0].range: write an address, a CIDR or a first-last range, such as 192.0.2.0/24",
    ],
  },
  {
    name: "an entry of a block list expires at an RFC 3339 time",
    text: agent("{connectionFilter: {ipBlockList: [{range: 192.0.2.1, expires: 2026-02-30T00:00:00Z}]}}"),
    want: [
      "f.yaml:6 spec.agents[0].connectionFilter.ipBlockList[0].expires: write an RFC 3339 time such as 2026-01-31T09:00:00Z",
    ],
  },
  {
    name: "a block list is a domain",
    text: agent("{connectionFilter: {ipBlockListProviders: [{lookupDomain: bl example}]}}"),
    want: [
      "f.yaml:6 spec.agents[0].connectionFilter.ipBlockListProviders[0].lookupDomain: write a domain, such as contoso.example",
    ],
  },
  {
    name: "a blocked domain is a domain",
    text: agent("{senderFilter: {blockedDomains: [-a.example]}}"),
    want: ["f.yaml:6 spec.agents[0].senderFilter.blockedDomains[0]: write a domain, such as contoso.example"],
  },
  {
    name: "a header field's name has no colon",
    text: agent("{headerFirewall: {prefixes: ['X-A:']}}"),
    want: ["f.yaml:6 spec.agents[0].headerFirewall.prefixes[0]: write a header field name, such as Subject"],
  },
  {
    name: "an IPv4 address is not written as IPv6",
    text: receive('  remoteIPRanges: ["::ffff:10.0.0.0/104"]\n'),
    want: [
      "f.yaml:6 spec.remoteIPRanges[0]: write an address, a CIDR or a first-last range, such as 192.0.2.0/24",
    ],
  },
  {
    name: "a range does not end before it begins",
    text: receive("  remoteIPRanges: [10.0.1.0-10.0.0.255]\n"),
    want: [
      "f.yaml:6 spec.remoteIPRanges[0]: write an address, a CIDR or a first-last range, such as 192.0.2.0/24",
    ],
  },
  {
    name: "an IPv6 range does not end before it begins",
    text: receive('  remoteIPRanges: ["2001:db8::9-2001:db8::1"]\n'),
    want: [
      "f.yaml:6 spec.remoteIPRanges[0]: write an address, a CIDR or a first-last range, such as 192.0.2.0/24",
    ],
  },
  {
    name: "a range is of one family",
    text: receive('  remoteIPRanges: ["10.0.0.1-::2"]\n'),
    want: [
      "f.yaml:6 spec.remoteIPRanges[0]: write an address, a CIDR or a first-last range, such as 192.0.2.0/24",
    ],
  },
  {
    name: "a word stands once in a list of words",
    text: receive("  permissionGroups: [AnonymousUsers, AnonymousUsers]\n"),
    want: ["f.yaml:6 spec.permissionGroups[1]: is the same as entry 0"],
  },
  {
    name: "sendAs takes addresses and *@domain",
    text: receive(`${secured}  authMechanisms: [BasicAuth]\n  sendAs: [{user: a, addresses: ["a@*"]}]\n`),
    want: ["f.yaml:9 spec.sendAs[0].addresses[0]: write an address, *@contoso.example, or *"],
  },
  {
    name: "a host is a name or an address",
    text: send("  routing: {type: SmartHost, smartHosts: [{host: a b}]}\n"),
    want: ["f.yaml:6 spec.routing.smartHosts[0].host: write a host name or an IP address"],
  },
  {
    name: "an address space is a domain",
    text: manifest("SendConnector", "  addressSpaces: [{domain: a.*}]\n  routing: {type: MX}\n"),
    want: [
      "f.yaml:5 spec.addressSpaces[0].domain: write a domain, such as contoso.example, *.contoso.example or *; * stands only for the labels in front",
    ],
  },
  {
    name: "a status code of a refusal is 5.7.x",
    text: manifest("TransportRule", "  actions: {rejectMessage: {enhancedStatusCode: 5.1.1}}\n"),
    want: ["f.yaml:5 spec.actions.rejectMessage.enhancedStatusCode: use 5.7.1 or 5.7.900 to 5.7.999"],
  },
  {
    name: "a copy goes to an address",
    text: manifest("TransportRule", "  actions: {blindCopyTo: [ann]}\n"),
    want: ["f.yaml:5 spec.actions.blindCopyTo[0]: write an address, such as ann@contoso.example"],
  },
  {
    name: "an alternative's domains are domains",
    text: rule("  conditions: {anyOf: [{recipientDomainIs: [a b]}]}\n"),
    want: ["f.yaml:6 spec.conditions.anyOf[0].recipientDomainIs[0]: write a domain, such as contoso.example"],
  },
  {
    name: "an alternative's ranges are ranges",
    text: rule("  conditions: {anyOf: [{senderIpRanges: [everybody]}]}\n"),
    want: [
      "f.yaml:6 spec.conditions.anyOf[0].senderIpRanges[0]: write an address, a CIDR or a first-last range, such as 192.0.2.0/24",
    ],
  },
  {
    name: "an alternative's header fields have names",
    text: rule("  conditions: {anyOf: [{headerExists: ['a b']}]}\n"),
    want: ["f.yaml:6 spec.conditions.anyOf[0].headerExists[0]: write a header field name, such as Subject"],
  },
  {
    name: "a pattern that expands to many steps is refused",
    text: rule("  conditions: {subjectMatchesPatterns: ['(a{30}){30}']}\n"),
    want: [
      "f.yaml:6 spec.conditions.subjectMatchesPatterns[0]: its counted repeats expand to 962 steps and at most 139 are allowed: use smaller counts, * or +",
    ],
  },
  {
    name: "the local part of an address has at most 64 octets",
    text: agent(`{senderFilter: {blockedSenders: [${"a".repeat(65)}@a.example]}}`),
    want: [
      "f.yaml:6 spec.agents[0].senderFilter.blockedSenders[0]: write an address, such as ann@contoso.example",
    ],
  },
  {
    name: "a domain outside ASCII has an A-label form",
    text: manifest("AcceptedDomain", '  domains: ["\\u00ad.example"]\n'),
    want: [
      "f.yaml:5 spec.domains[0]: write a domain, such as contoso.example or *.contoso.example; * stands only for the labels in front",
    ],
  },
];

/** Fields that do not go together; those that want nothing are right. */
export const FAULTY_OBJECTS: readonly FaultyManifest[] = [
  {
    name: "Relay for everybody is an open relay",
    text: receive("  permissionGroups: [Relay]\n"),
    want: [
      "f.yaml:6 spec.permissionGroups[0]: Relay would be an open relay for 0.0.0.0/0: narrow remoteIPRanges to IPv4 /16, IPv6 /48 or less",
    ],
  },
  {
    name: "Relay for an IPv4 /15 is too wide",
    text: receive("  permissionGroups: [Relay]\n  remoteIPRanges: [10.0.0.0/15]\n"),
    want: [
      "f.yaml:6 spec.permissionGroups[0]: Relay would be an open relay for 10.0.0.0/15: narrow remoteIPRanges to IPv4 /16, IPv6 /48 or less",
    ],
  },
  {
    name: "Relay for an IPv6 /47 is too wide",
    text: receive('  permissionGroups: [Relay]\n  remoteIPRanges: ["2001:db8::/47"]\n'),
    want: [
      "f.yaml:6 spec.permissionGroups[0]: Relay would be an open relay for 2001:db8::/47: narrow remoteIPRanges to IPv4 /16, IPv6 /48 or less",
    ],
  },
  {
    name: "Relay for a first-last range as wide is too wide",
    text: receive("  permissionGroups: [Relay]\n  remoteIPRanges: [10.0.0.0-10.1.0.0]\n"),
    want: [
      "f.yaml:6 spec.permissionGroups[0]: Relay would be an open relay for 10.0.0.0-10.1.0.0: narrow remoteIPRanges to IPv4 /16, IPv6 /48 or less",
    ],
  },
  {
    name: "Relay for a /16 and a /48 stands",
    text: receive('  permissionGroups: [Relay]\n  remoteIPRanges: [10.0.0.0/16, "2001:db8::/48"]\n'),
    want: [],
  },
  {
    name: "ExternalAuthoritative for everybody is refused",
    text: receive("  authMechanisms: [Tls, ExternalAuthoritative]\n"),
    want: [
      "f.yaml:6 spec.authMechanisms[1]: ExternalAuthoritative would trust all of 0.0.0.0/0: narrow remoteIPRanges to IPv4 /16, IPv6 /48 or less",
    ],
  },
  {
    name: "TLS Required needs a certificate",
    text: receive("  tls: {mode: Required}\n"),
    want: ["f.yaml:6 spec.tls.certificateRefs: tls.mode Required needs at least one certificate"],
  },
  {
    name: "TLS Implicit needs a certificate",
    text: receive("  tls: {mode: Implicit}\n"),
    want: ["f.yaml:6 spec.tls.certificateRefs: tls.mode Implicit needs at least one certificate"],
  },
  {
    name: "TLS Required needs STARTTLS",
    text: receive("  tls: {mode: Required, certificateRefs: [{name: c}]}\n  authMechanisms: []\n"),
    want: ["f.yaml:7 spec.authMechanisms: tls.mode Required needs Tls here, else STARTTLS is not offered"],
  },
  {
    name: "AUTH needs users",
    text: receive("  authMechanisms: [BasicAuth]\n"),
    want: ["f.yaml:4 spec.credentialsRef: authMechanisms BasicAuth needs a Secret with the users"],
  },
  {
    name: "users need AUTH",
    text: receive("  credentialsRef: {name: u}\n"),
    want: [
      "f.yaml:6 spec.credentialsRef: is not used without BasicAuth or BasicAuthRequireTLS in authMechanisms",
    ],
  },
  {
    name: "AuthenticatedUsers needs AUTH",
    text: receive("  permissionGroups: [AuthenticatedUsers]\n"),
    want: [
      "f.yaml:6 spec.permissionGroups[0]: AuthenticatedUsers needs BasicAuth or BasicAuthRequireTLS in authMechanisms",
    ],
  },
  {
    name: "sendAs needs AUTH",
    text: receive("  sendAs: [{user: a, addresses: ['*']}]\n"),
    want: ["f.yaml:6 spec.sendAs: is not used without BasicAuth or BasicAuthRequireTLS in authMechanisms"],
  },
  {
    name: "AUTH under TLS needs a certificate",
    text: receive("  credentialsRef: {name: u}\n  authMechanisms: [Tls, BasicAuthRequireTLS]\n"),
    want: [
      "f.yaml:7 spec.authMechanisms[1]: nobody could log on: BasicAuthRequireTLS needs TLS and tls.certificateRefs",
    ],
  },
  {
    name: "AUTH under TLS with both stands",
    text: receive(`${secured}  authMechanisms: [Tls, BasicAuthRequireTLS]\n`),
    want: [],
  },
  {
    name: "BINARYMIME needs CHUNKING",
    text: receive("  chunkingEnabled: false\n"),
    want: [
      "f.yaml:4 spec.binaryMimeEnabled: needs chunkingEnabled: set this to false too, or leave CHUNKING on",
    ],
  },
  {
    name: "the whole internet is no balancer",
    text: receive("  proxyProtocol: {trustedCIDRs: [0.0.0.0/0]}\n"),
    want: [
      "f.yaml:6 spec.proxyProtocol.trustedCIDRs[0]: would let every client choose its address: name the balancers",
    ],
  },
  {
    name: "the same range twice, however written",
    text: receive("  remoteIPRanges: [10.0.0.0/24, 10.0.0.0-10.0.0.255]\n"),
    want: ["f.yaml:6 spec.remoteIPRanges[1]: is the same as remoteIPRanges[0]"],
  },
  {
    name: "SmartHost needs hosts",
    text: send("  routing: {type: SmartHost}\n"),
    want: ["f.yaml:6 spec.routing.smartHosts: routing type SmartHost needs at least one host"],
  },
  {
    name: "MX has no hosts",
    text: send("  routing: {type: MX, smartHosts: [{host: a.example}]}\n"),
    want: ["f.yaml:6 spec.routing.smartHosts: only for routing type SmartHost, not MX"],
  },
  {
    name: "LMTP goes to hosts, not by MX",
    text: send("  routing: {type: MX, smartHosts: [{host: a.example, protocol: LMTP}]}\n"),
    want: [
      "f.yaml:6 spec.routing.smartHosts: only for routing type SmartHost, not MX (LMTP too needs SmartHost)",
    ],
  },
  {
    name: "Drop needs a directory",
    text: send("  routing: {type: Drop}\n"),
    want: ["f.yaml:6 spec.routing.directory: routing type Drop needs a directory"],
  },
  {
    name: "only Drop has a directory",
    text: send("  routing: {type: MX, directory: d}\n"),
    want: ["f.yaml:6 spec.routing.directory: only for routing type Drop, not MX"],
  },
  {
    name: "a directory does not leave the drop folder",
    text: send("  routing: {type: Drop, directory: ../../etc}\n"),
    want: ["f.yaml:6 spec.routing.directory: use a plain folder name"],
  },
  {
    name: "a password does not travel in clear text",
    text: send(
      "  routing: {type: SmartHost, smartHosts: [{host: a.example}]}\n  tls: {mode: None}\n  auth: {secretRef: {name: s}}\n",
    ),
    want: [
      "f.yaml:8 spec.auth: would send the password in clear text: raise tls.mode, or set allowInsecure: true",
    ],
  },
  {
    name: "a CA is only for VerifyName",
    text: send("  routing: {type: MX}\n  tls: {mode: Required, caRef: {name: s}}\n"),
    want: ["f.yaml:7 spec.tls.caRef: only tls.mode VerifyName checks certificates, Required does not"],
  },
  {
    name: "an address space stands once",
    text: manifest(
      "SendConnector",
      "  addressSpaces: [{domain: A.example}, {domain: a.example}]\n  routing: {type: MX}\n",
    ),
    want: ["f.yaml:5 spec.addressSpaces[1].domain: stands already in addressSpaces[0]"],
  },
  {
    name: "relay types cannot refuse unknown recipients",
    text: manifest(
      "AcceptedDomain",
      "  domains: [a.example]\n  type: InternalRelay\n  recipients: {validation: Reject}\n",
    ),
    want: [
      "f.yaml:7 spec.recipients.validation: Reject is not for type InternalRelay, whose recipients are elsewhere",
    ],
  },
  {
    name: "a domain stands once",
    text: manifest("AcceptedDomain", "  domains: [bücher.example, xn--bcher-kva.example]\n"),
    want: ["f.yaml:5 spec.domains[1]: is the same as domains[0]"],
  },
  {
    name: "an alias leads to one place",
    text: manifest(
      "AcceptedDomain",
      "  domains: [a.example]\n  recipients:\n    aliases:\n      - {alias: i@a.example, address: x@a.example}\n      - {alias: I@a.example, address: y@a.example}\n",
    ),
    want: ["f.yaml:9 spec.recipients.aliases[1].alias: stands already in aliases[0]"],
  },
  {
    name: "an alias does not lead to itself",
    text: manifest(
      "AcceptedDomain",
      "  domains: [a.example]\n  recipients: {aliases: [{alias: i@a.example, address: I@A.example}]}\n",
    ),
    want: ["f.yaml:6 spec.recipients.aliases[0].address: leads to the alias itself"],
  },
  {
    name: "medium must be below high",
    text: manifest(
      "MailTransport",
      "  hostname: mx.a.example\n  backPressure:\n    diskUsedPercent: {medium: 99}\n",
    ),
    want: [
      "f.yaml:7 spec.backPressure.diskUsedPercent.medium: must be lower than high (99 is not lower than 99)",
    ],
  },
  {
    name: "empty conditions are refused",
    text: rule("  conditions: {}\n"),
    want: [
      "f.yaml:6 spec.conditions: name at least one condition; leave conditions out to match every message",
    ],
  },
  {
    name: "an empty alternative is refused",
    text: rule("  conditions: {anyOf: [{}]}\n"),
    want: ["f.yaml:6 spec.conditions.anyOf[0]: name at least one condition"],
  },
  {
    name: "empty exceptions are refused",
    text: rule("  exceptions: {}\n"),
    want: ["f.yaml:6 spec.exceptions: name at least one exception, or leave exceptions out"],
  },
  {
    name: "a rule does something",
    text: manifest("TransportRule", "  actions: {deleteMessage: false}\n"),
    want: ["f.yaml:5 spec.actions: name at least one action"],
  },
  {
    name: "a message has one fate",
    text: manifest("TransportRule", "  actions: {deleteMessage: true, quarantine: true}\n"),
    want: ["f.yaml:5 spec.actions.quarantine: cannot go with deleteMessage: a message has one fate"],
  },
  {
    name: "a rule ends after it begins",
    text: rule("  activationDate: 2026-02-01T00:00:00Z\n  expiryDate: 2026-02-01T01:00:00+01:00\n"),
    want: ["f.yaml:7 spec.expiryDate: must be later than activationDate: the rule would never run"],
  },
  {
    name: "a block list's answers are not ignored",
    text: manifest(
      "MailTransport",
      "  hostname: mx.a.example\n  agents:\n    - connectionFilter: {ipBlockListProviders: [{lookupDomain: bl.example, bitmaskMatch: 127.0.0.6}]}\n",
    ),
    want: [
      "f.yaml:7 spec.agents[0].connectionFilter.ipBlockListProviders[0].anyMatch: true counts every answer: set it to false to use ipAddressesMatch or bitmaskMatch",
    ],
  },
  {
    name: "an unknown field does not hide the open relay",
    text: receive("  colour: blue\n  permissionGroups: [Relay]\n"),
    want: [
      "f.yaml:6 spec.colour: unknown field",
      "f.yaml:7 spec.permissionGroups[0]: Relay would be an open relay for 0.0.0.0/0: narrow remoteIPRanges to IPv4 /16, IPv6 /48 or less",
    ],
  },
  {
    name: "Relay beyond one IPv6 /48 is too wide",
    text: receive('  permissionGroups: [Relay]\n  remoteIPRanges: ["2001:db8::-2001:db8:1::"]\n'),
    want: [
      "f.yaml:6 spec.permissionGroups[0]: Relay would be an open relay for 2001:db8::-2001:db8:1::: narrow remoteIPRanges to IPv4 /16, IPv6 /48 or less",
    ],
  },
  {
    name: "Relay for two halves of everybody is too wide",
    text: receive("  permissionGroups: [Relay]\n  remoteIPRanges: [0.0.0.0/1, 128.0.0.0/1]\n"),
    want: [
      "f.yaml:6 spec.permissionGroups[0]: Relay would be an open relay for 0.0.0.0/1: narrow remoteIPRanges to IPv4 /16, IPv6 /48 or less",
    ],
  },
  {
    name: "Relay for a first-last range of a /16 and for one within a /48 stands",
    text: receive(
      '  permissionGroups: [Relay]\n  remoteIPRanges: [10.0.128.0-10.1.127.255, "2001:db8::1-2001:db8:0:ffff::"]\n',
    ),
    want: [],
  },
  {
    name: "every address from the first to the last is no balancer",
    text: receive("  proxyProtocol: {trustedCIDRs: [0.0.0.0-255.255.255.255]}\n"),
    want: [
      "f.yaml:6 spec.proxyProtocol.trustedCIDRs[0]: would let every client choose its address: name the balancers",
    ],
  },
  {
    name: "a binding stands once, however its address is written",
    text: manifest(
      "ReceiveConnector",
      '  bindings: [{port: 25}, {port: 25, address: "::1"}, {port: 25, address: "0::1"}]\n',
    ),
    want: ["f.yaml:5 spec.bindings[2]: is the same as bindings[1]"],
  },
  {
    name: "one port on two addresses and on all stands",
    text: manifest(
      "ReceiveConnector",
      '  bindings: [{port: 25}, {port: 25, address: "::1"}, {port: 25, address: 127.0.0.1}]\n',
    ),
    want: [],
  },
  {
    name: "a range stands once",
    text: receive("  remoteIPRanges: [10.0.0.0/24, 10.0.0.0/24]\n"),
    want: ["f.yaml:6 spec.remoteIPRanges[1]: is the same as remoteIPRanges[0]"],
  },
  {
    name: "authentication is for smart hosts",
    text: send("  routing: {type: MX}\n  auth: {secretRef: {name: s}}\n"),
    want: ["f.yaml:7 spec.auth: only for routing type SmartHost, not MX"],
  },
  {
    name: "TLS from the first byte is TLS",
    text: send("  routing: {type: MX}\n  tls: {mode: None, implicit: true}\n"),
    want: ["f.yaml:7 spec.tls.implicit: needs a tls.mode other than None"],
  },
  {
    name: "an address space stands once, as it is written",
    text: manifest(
      "SendConnector",
      "  addressSpaces: [{domain: a.example}, {domain: a.example}]\n  routing: {type: MX}\n",
    ),
    want: ["f.yaml:5 spec.addressSpaces[1].domain: stands already in addressSpaces[0]"],
  },
  {
    name: "a domain stands once, as it is written",
    text: manifest("AcceptedDomain", "  domains: [a.example, a.example]\n"),
    want: ["f.yaml:5 spec.domains[1]: is the same as domains[0]"],
  },
  {
    name: "an alias is not its own address",
    text: manifest(
      "AcceptedDomain",
      "  domains: [a.example]\n  recipients: {aliases: [{alias: i@a.example, address: i@a.example}]}\n",
    ),
    want: ["f.yaml:6 spec.recipients.aliases[0].address: leads to the alias itself"],
  },
  {
    name: "a message is not both bounced and dropped",
    text: manifest("TransportRule", "  actions: {rejectMessage: {}, deleteMessage: true}\n"),
    want: ["f.yaml:5 spec.actions.deleteMessage: cannot go with rejectMessage: a message has one fate"],
  },
  {
    name: "an action that is false is none",
    text: manifest(
      "TransportRule",
      "  actions: {rejectMessage: {}, deleteMessage: false, quarantine: false}\n",
    ),
    want: [],
  },
  {
    name: "a block list that names no answer counts none",
    text: agent("{connectionFilter: {ipBlockListProviders: [{lookupDomain: bl.example, anyMatch: false}]}}"),
    want: [
      "f.yaml:6 spec.agents[0].connectionFilter.ipBlockListProviders[0].anyMatch: false needs ipAddressesMatch or bitmaskMatch",
    ],
  },
  {
    name: "from: Selector needs a selector",
    text: transport("  allowedNamespaces: {from: Selector}\n"),
    want: ["f.yaml:6 spec.allowedNamespaces.selector: from: Selector needs it"],
  },
  {
    name: "a selector is for from: Selector",
    text: transport("  allowedNamespaces: {from: All, selector: {}}\n"),
    want: ["f.yaml:6 spec.allowedNamespaces.selector: only for from: Selector, not All"],
  },
  {
    name: "operator In needs values",
    text: transport(
      "  allowedNamespaces: {from: Selector, selector: {matchExpressions: [{key: a, operator: In}]}}\n",
    ),
    want: [
      "f.yaml:6 spec.allowedNamespaces.selector.matchExpressions[0].values: operator In needs at least one value",
    ],
  },
  {
    name: "operator Exists takes no values",
    text: transport(
      "  allowedNamespaces: {from: Selector, selector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}\n",
    ),
    want: [
      "f.yaml:6 spec.allowedNamespaces.selector.matchExpressions[0].values: operator Exists takes no values",
    ],
  },
  {
    name: "the operator's own labels are not the user's",
    text: transport("  podLabels: {app.kubernetes.io/name: a}\n"),
    want: ["f.yaml:6 spec.podLabels.app.kubernetes.io/name: is set by the operator"],
  },
  {
    name: "a toleration without a key is for Exists",
    text: transport("  tolerations: [{value: a}]\n"),
    want: ["f.yaml:6 spec.tolerations[0].operator: must be Exists when there is no key"],
  },
  {
    name: "a toleration with Exists has no value",
    text: transport("  tolerations: [{operator: Exists, value: a}]\n"),
    want: ["f.yaml:6 spec.tolerations[0].value: is not for operator Exists"],
  },
  {
    name: "only NoExecute is tolerated for a time",
    text: transport("  tolerations: [{operator: Exists, tolerationSeconds: 5}]\n"),
    want: ["f.yaml:6 spec.tolerations[0].tolerationSeconds: only for effect NoExecute"],
  },
  {
    name: "a load balancer's class is for load balancers",
    text: transport("  service: {loadBalancerClass: a}\n"),
    want: ["f.yaml:6 spec.service.loadBalancerClass: only for type LoadBalancer, not ClusterIP"],
  },
  {
    name: "a load balancer's source ranges are for load balancers",
    text: transport("  service: {type: NodePort, loadBalancerSourceRanges: [10.0.0.0/8]}\n"),
    want: ["f.yaml:6 spec.service.loadBalancerSourceRanges: only for type LoadBalancer, not NodePort"],
  },
];
