import { describe, expect, test } from "vitest";
import { formatFault } from "./faults.ts";
import { parseManifests } from "./manifest-reader.ts";

/** Faults of one file, as `postroom check` prints them. */
function faultsOf(text: string): string[] {
  return parseManifests([{ path: "f.yaml", text }]).faults.map(formatFault);
}

/** One manifest: line 1 apiVersion, 2 kind, 3 metadata, 4 spec, then the given lines. */
function manifest(kind: string, spec: string): string {
  return `apiVersion: postroom.dev/v1alpha1\nkind: ${kind}\nmetadata: {name: x}\nspec:\n${spec}`;
}

const receive = (spec: string) => manifest("ReceiveConnector", `  bindings: [{port: 25}]\n${spec}`);
const send = (spec: string) => manifest("SendConnector", `  addressSpaces: [{domain: "*"}]\n${spec}`);
const rule = (spec: string) => manifest("TransportRule", `  actions: {deleteMessage: true}\n${spec}`);

interface Row {
  readonly name: string;
  readonly text: string;
  readonly want: readonly string[];
}

describe("a fault has file, line, field and reason:", () => {
  const fieldRows: Row[] = [
    {
      name: "an unknown field is named with the nearest one",
      text: manifest("AcceptedDomain", "  domians: [a.example]\n  domains: [b.example]\n"),
      want: ['f.yaml:5 spec.domians: unknown field, did you mean "domains"?'],
    },
    {
      name: "an unknown field in a list of objects too",
      text: manifest(
        "ReceiveConnector",
        "  bindings:\n    - port: 25\n    - {port: 26, adress: 127.0.0.1}\n",
      ),
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
  ];
  test.each(fieldRows)("$name", ({ text, want }) => expect(faultsOf(text).sort()).toEqual([...want].sort()));
});

describe("what one object can get wrong across its fields:", () => {
  const secured = "  tls: {certificateRefs: [{name: c}]}\n  credentialsRef: {name: u}\n";
  const rows: Row[] = [
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
  ];
  test.each(rows)("$name", ({ text, want }) => expect(faultsOf(text)).toEqual(want));
});

describe("objects:", () => {
  const domain = (name: string, more = "") =>
    `apiVersion: postroom.dev/v1alpha1\nkind: AcceptedDomain\nmetadata: {name: ${name}${more}}\nspec: {domains: [a.example]}\n`;
  const rows: Row[] = [
    {
      name: "a kind of a later version is not available",
      text: "apiVersion: postroom.dev/v1alpha1\nkind: JournalRule\n",
      want: ["f.yaml:2 kind: JournalRule is not available in this version"],
    },
    {
      name: "an unknown kind of ours is a fault",
      text: "apiVersion: postroom.dev/v1alpha1\nkind: SendConector\n",
      want: ['f.yaml:2 kind: unknown kind "SendConector", did you mean "SendConnector"?'],
    },
    {
      name: "an unknown version of ours is a fault",
      text: "apiVersion: postroom.dev/v1\nkind: SendConnector\n",
      want: ["f.yaml:1 apiVersion: unknown version, write postroom.dev/v1alpha1"],
    },
    {
      name: "a group that looks like ours is a fault",
      text: "apiVersion: postrom.dev/v1alpha1\nkind: SendConnector\n",
      want: [
        'f.yaml:1 apiVersion: "postrom.dev/v1alpha1" has no SendConnector, did you mean "postroom.dev/v1alpha1"?',
      ],
    },
    {
      name: "other groups are passed over",
      text: "apiVersion: apps/v1\nkind: Deployment\n---\napiVersion: v1\nkind: ConfigMap\n",
      want: [],
    },
    {
      name: "a document without apiVersion is a fault",
      text: "kind: SendConnector\n",
      want: ["f.yaml:1 apiVersion: is missing: every object needs apiVersion and kind"],
    },
    {
      name: "a document that is a list is a fault",
      text: "- a\n",
      want: ["f.yaml:1: is no object: write apiVersion, kind, metadata and spec"],
    },
    { name: "empty documents are passed over", text: "---\n# nothing\n---\n---\n", want: [] },
    {
      name: "a name is needed",
      text: "apiVersion: postroom.dev/v1alpha1\nkind: AcceptedDomain\nmetadata: {}\nspec: {domains: [a.example]}\n",
      want: ["f.yaml:3 metadata.name: is missing"],
    },
    {
      name: "the same object twice: the second is a fault",
      text: `${domain("x")}---\n${domain("x")}`,
      want: ["f.yaml:8 metadata.name: stands already at f.yaml:1, which is in force"],
    },
    {
      name: "the same name in two namespaces is two objects",
      text: `${domain("x")}---\n${domain("x", ", namespace: b")}`,
      want: [],
    },
    {
      name: "a key that stands twice is a fault",
      text: `${domain("x")}spec: {domains: [b.example]}\n`,
      want: ["f.yaml:5 spec: stands twice in the same object"],
    },
    { name: "a status is tolerated", text: `${domain("x")}status: {conditions: []}\n`, want: [] },
    { name: "creationTimestamp may be null", text: domain("x", ", creationTimestamp: null"), want: [] },
    {
      name: "a List holds objects",
      text: "apiVersion: v1\nkind: List\nitems:\n  - apiVersion: postroom.dev/v1alpha1\n    kind: AcceptedDomain\n    metadata: {name: x}\n    spec:\n      domains: [a]\n      colour: blue\n",
      want: ["f.yaml:9 spec.colour: unknown field"],
    },
    {
      name: "a Secret's values are text",
      text: "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  password: 1234\n",
      want: ["f.yaml:5 stringData.password: must be text: write it in quotes"],
    },
    {
      name: "a Secret's data is base64, and is not shown",
      text: "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {password: hunter2!}\n",
      want: ["f.yaml:4 data.password: is not base64; plain text belongs in stringData"],
    },
    {
      name: "a Secret has a name",
      text: "apiVersion: v1\nkind: Secret\n",
      want: ["f.yaml:1 metadata.name: is missing"],
    },
  ];
  test.each(rows)("$name", ({ text, want }) => expect(faultsOf(text)).toEqual(want));

  test("faults of all files come at once, by file and line", () => {
    const { faults } = parseManifests([
      { path: "b.yaml", text: "a: [\n" },
      { path: "a.yaml", text: `${domain("x")}---\nkind: y\n---\n- z\n` },
    ]);
    expect(faults.map(({ file, line }) => `${file}:${line}`)).toEqual(["a.yaml:6", "a.yaml:8", "b.yaml:1"]);
  });

  test("a broken object is named; one that is right elsewhere is not broken", () => {
    const broken = "apiVersion: postroom.dev/v1alpha1\nkind: AcceptedDomain\nmetadata: {name: y}\nspec: {}\n";
    const load = parseManifests([{ path: "f.yaml", text: `${broken}---\n${broken}---\n${domain("x")}` }]);
    expect(load.broken).toEqual(["AcceptedDomain/default/y"]);
    expect(load.incomplete).toBe(false);
    const mended = parseManifests([{ path: "f.yaml", text: `${broken}---\n${domain("y")}` }]);
    expect(mended.broken).toEqual([]);
  });

  test("a file that cannot be read makes the load incomplete, and the others are still read", () => {
    const load = parseManifests([
      { path: "a.yaml", text: "", unreadable: "the file cannot be read: permission denied" },
      { path: "b.yaml", text: domain("x") },
    ]);
    expect(load.incomplete).toBe(true);
    expect(load.resources.map(({ resource }) => resource.metadata.name)).toEqual(["x"]);
    expect(load.faults.map(formatFault)).toEqual(["a.yaml:1: the file cannot be read: permission denied"]);
  });

  test("documents that cannot be named make the load incomplete, and the others are still read", () => {
    const load = parseManifests([{ path: "f.yaml", text: `a: [\n---\n${domain("x")}` }]);
    expect(load.incomplete).toBe(true);
    expect(load.resources.map(({ resource }) => resource.metadata.name)).toEqual(["x"]);
  });

  test.each([
    { name: "a name that is not allowed", text: domain("X") },
    { name: "a name that is not text", text: domain("1") },
    { name: "a name that another object has", text: `${domain("x")}---\n${domain("x")}` },
    { name: "two objects run into one", text: `${domain("x")}${domain("y")}` },
    { name: "a kind that does not exist", text: domain("x").replace("AcceptedDomain", "AceptedDomain") },
    { name: "an apiVersion that looks like ours", text: domain("x").replace("postroom", "/postroom") },
  ])("$name may be any object that is missing: the load is incomplete", ({ text }) => {
    const load = parseManifests([{ path: "f.yaml", text }]);
    expect(load.faults).not.toEqual([]);
    expect(load.incomplete).toBe(true);
  });

  test("a Secret with a fault is broken, too", () => {
    const text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: 1}\n";
    expect(parseManifests([{ path: "f.yaml", text }]).broken).toEqual(["Secret/default/s"]);
  });

  test("Secrets are read from data and stringData, keyed by namespace/name", () => {
    const text =
      "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {name: s, namespace: n}\ndata: {a: aGVsbG8=, b: ''}\nstringData: {c: plain, b: over}\n";
    const { secrets, faults } = parseManifests([{ path: "f.yaml", text }]);
    expect(faults).toEqual([]);
    expect(secrets.get("n/s")).toEqual({ a: "hello", b: "over", c: "plain" });
  });

  test("the namespace is default when none is given", () => {
    const [first] = parseManifests([{ path: "f.yaml", text: domain("x") }]).resources;
    expect(first?.resource.metadata.namespace).toBe("default");
    expect(first?.lineOf("spec.domains[0]")).toBe(4);
  });

  test("an object with thousands of faults is summed up", () => {
    const faults = faultsOf(manifest("AcceptedDomain", `  domains: [${"'*', ".repeat(900)}]\n`));
    expect(faults).toHaveLength(201);
    expect(faults.join("\n")).toContain("f.yaml:1: 700 more faults in this object");
  });
});
