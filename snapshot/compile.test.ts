import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AnyResource } from "../crds/mod.ts";
import { objects } from "../test/helpers/resources.ts";
import { type CompileInput, type CompileResult, compileSnapshot } from "./compile.ts";
import type { Snapshot } from "./schema.ts";

const HUB = "MailTransport hub {hostname: mx.a.example}";
const OLD = "2026-01-01T00:00:00Z";
const NEW = "2026-02-01T00:00:00Z";

function compile(lines: readonly string[], more: Partial<CompileInput> = {}): CompileResult {
  return compileSnapshot({ resources: objects(...lines), ...more });
}

function snapshotOf(lines: readonly string[], more: Partial<CompileInput> = {}): Snapshot {
  const { snapshot } = compile(lines, more);
  if (snapshot === undefined) throw new Error("no snapshot");
  return snapshot;
}

/** "severity object path reason: message" of each diagnostic. */
function said({ diagnostics }: CompileResult): string[] {
  return diagnostics.map(
    ({ severity, object, path, reason, message }) => `${severity} ${object} ${path} ${reason}: ${message}`,
  );
}

describe("compileSnapshot() converts", () => {
  test("durations to ms, sizes to octets, references to namespace/name", () => {
    const { transport, receiveConnectors, sendConnectors } = snapshotOf([
      "MailTransport hub {hostname: mx.a.example, queue: {retryIntervals: [90s, 1h30m], storage: {size: 1Gi}}}",
      "ReceiveConnector r {bindings: [{port: 25}], tls: {certificateRefs: [{name: c}]}, maxMessageSize: 1.5Ki, maxHeaderSize: '100', tarpitInterval: 500ms}",
      "SendConnector s {addressSpaces: [{domain: '*.BÜCHER.example'}, {domain: '*', cost: 5}], routing: {type: SmartHost, smartHosts: [{host: a.example}]}, auth: {secretRef: {name: p}}}",
    ]);
    expect(transport.queue).toMatchObject({ retryIntervalsMs: [90_000, 5_400_000], storageSize: 2 ** 30 });
    expect(receiveConnectors[0]).toMatchObject({
      name: "default/r",
      fqdn: "mx.a.example",
      maxMessageSize: 1536,
      maxHeaderSize: 100,
      tarpitIntervalMs: 500,
      tls: { certificates: ["default/c"] },
    });
    expect(sendConnectors[0]).toMatchObject({
      fqdn: "mx.a.example",
      maxConnections: 20,
      auth: { secret: "default/p" },
      addressSpaces: [
        { domain: "*.xn--bcher-kva.example", cost: 1 },
        { domain: "*", cost: 5 },
      ],
    });
  });

  test("what belongs to attachment and is spent stays out of the entries", () => {
    const text = JSON.stringify(
      snapshotOf([HUB, "TransportRule r {transportRefs: [{name: hub}], actions: {deleteMessage: true}}"]),
    );
    expect(text).not.toContain("transportRefs");
    expect(text).not.toContain('enabled"');
  });

  test.each([
    { role: "Hub", want: ["headerFirewall"] },
    { role: "Edge", want: ["connectionFilter", "senderFilter", "recipientFilter", "headerFirewall"] },
  ])("a $role without agents runs those of its role", ({ role, want }) => {
    const { transport } = snapshotOf([`MailTransport hub {hostname: mx.a.example, role: ${role}}`]);
    expect(transport.agents.flatMap((entry) => Object.keys(entry))).toEqual(want);
  });
});

describe("compileSnapshot() attaches", () => {
  const rule = "{actions: {deleteMessage: true}}";
  const other = "MailTransport edge {hostname: edge.a.example}";
  test.each([
    {
      name: "an object without transportRefs to every transport of its namespace",
      lines: [other, `TransportRule r ${rule}`],
      rules: ["default/r"],
      says: [],
    },
    {
      name: "an object with transportRefs to those only",
      lines: [other, "TransportRule r {transportRefs: [{name: edge}], actions: {deleteMessage: true}}"],
      rules: [],
      says: [],
    },
    {
      name: "no object that is not enabled",
      lines: ["TransportRule r {enabled: false, actions: {deleteMessage: true}}"],
      rules: [],
      says: [],
    },
    {
      name: "no object of another namespace",
      lines: [
        "TransportRule r@b {transportRefs: [{name: hub, namespace: default}], actions: {deleteMessage: true}}",
      ],
      rules: [],
      says: [
        "error TransportRule/b/r spec.transportRefs[0] NotAllowedByTransport: MailTransport default/hub takes objects of its own namespace only: move this one to default, or allow namespace b in the transport's spec.allowedNamespaces",
      ],
    },
    {
      name: "nothing to a transport that does not exist",
      lines: ["TransportRule r {transportRefs: [{name: hubb}], actions: {deleteMessage: true}}"],
      rules: [],
      says: [
        "warning TransportRule/default/r spec.transportRefs[0] TransportNotFound: there is no MailTransport default/hubb",
      ],
    },
    {
      name: "nothing in a namespace without transport",
      lines: [`TransportRule r@b ${rule}`],
      rules: [],
      says: [
        "warning TransportRule/b/r metadata.namespace TransportNotFound: attaches to nothing: there is no MailTransport in namespace b",
      ],
    },
  ])("$name", ({ lines, rules, says }) => {
    const result = compile([HUB, ...lines], { transport: "hub" });
    expect(result.snapshot?.rules.map(({ name }) => name)).toEqual(rules);
    expect(said(result)).toEqual(says);
  });
});

describe("compileSnapshot() chooses the transport:", () => {
  const example =
    "apiVersion: postroom.dev/v1alpha1, kind: MailTransport, metadata: {name: hub}, spec: {hostname: mx.contoso.example}";
  test.each([
    { name: "the only one", lines: [HUB], wanted: undefined, got: "default/hub", says: [] },
    {
      name: "the named one",
      lines: [HUB, "MailTransport b@n {hostname: b.example}"],
      wanted: "n/b",
      got: "n/b",
      says: [],
    },
    {
      name: "none of several unnamed",
      lines: [HUB, "MailTransport b {hostname: b.example}"],
      wanted: undefined,
      got: undefined,
      says: [
        "error MailTransport  TransportAmbiguous: There are several MailTransports, name one of default/b, default/hub",
      ],
    },
    {
      name: "none that does not exist",
      lines: [HUB],
      wanted: "x",
      got: undefined,
      says: [
        "error MailTransport/default/x  TransportNotFound: There is no MailTransport default/x; there is default/hub",
      ],
    },
    {
      name: "none, and says how to write one",
      lines: ["AcceptedDomain d {domains: [a.example]}"],
      wanted: undefined,
      got: undefined,
      says: [
        `error MailTransport  TransportNotFound: There is no MailTransport; write one, such as ${example}`,
      ],
    },
  ])("$name", ({ lines, wanted, got, says }) => {
    const result = compile(lines, { transport: wanted });
    expect(result.snapshot?.transport.name).toBe(got);
    expect(said(result)).toEqual(says);
  });
});

describe("compileSnapshot() settles conflicts:", () => {
  const connector = (name: string, ranges: string, bindings = "{port: 25}") =>
    `ReceiveConnector ${name} {bindings: [${bindings}], remoteIPRanges: [${ranges}]}`;
  const ranges = (result: CompileResult) =>
    result.snapshot?.receiveConnectors.map(({ name, remoteIPRanges }) => [name, ...remoteIPRanges]);

  test("of equal ranges on one binding the older connector keeps its own, the younger the rest", () => {
    const result = compile([
      HUB,
      connector(`a!${NEW}`, "10.0.0.0/24, 10.1.0.0/24"),
      connector(`b!${OLD}`, "10.0.0.0-10.0.0.255"),
    ]);
    expect(ranges(result)).toEqual([
      ["default/a", "10.1.0.0/24"],
      ["default/b", "10.0.0.0-10.0.0.255"],
    ]);
    expect(said(result)).toEqual([
      "warning ReceiveConnector/default/a spec.remoteIPRanges[0] Conflicted: 10.0.0.0/24 belongs to ReceiveConnector default/b, which was there first; the rest stays in force",
    ]);
  });

  test("a connector that loses all its ranges is not in force", () => {
    const result = compile([HUB, connector("a", "10.0.0.0/24"), connector("b", "10.0.0.0/24")]);
    expect(ranges(result)).toEqual([["default/a", "10.0.0.0/24"]]);
    expect(said(result)).toEqual([
      "error ReceiveConnector/default/b spec.remoteIPRanges[0] Conflicted: 10.0.0.0/24 belongs to ReceiveConnector default/a, which was there first; nothing is left, so it is not in force",
    ]);
  });

  test("a wider range, another port and another local address are no conflict", () => {
    const result = compile([
      HUB,
      connector("a", "10.0.0.0/24"),
      connector("b", "10.0.0.0/23"),
      connector("c", "10.0.0.0/24", "{port: 26}"),
      connector("d", "10.0.0.0/24", "{port: 25, address: 127.0.0.1}"),
    ]);
    expect(result.snapshot?.receiveConnectors).toHaveLength(4);
    expect(said(result)).toEqual([]);
  });

  test("of one domain claimed twice the older object wins, however it is written", () => {
    const result = compile([
      HUB,
      `AcceptedDomain a!${NEW} {domains: [BÜCHER.example, "*.b.example"]}`,
      `AcceptedDomain b!${OLD} {domains: [xn--bcher-kva.example]}`,
    ]);
    expect(result.snapshot?.acceptedDomains.map(({ name, domains }) => [name, ...domains])).toEqual([
      ["default/a", "*.b.example"],
      ["default/b", "xn--bcher-kva.example"],
    ]);
    expect(said(result)).toEqual([
      "warning AcceptedDomain/default/a spec.domains[0] Conflicted: xn--bcher-kva.example belongs to AcceptedDomain default/b, which was there first; the rest stays in force",
    ]);
  });

  test("a recipient outside the domains of its object has no effect, and is told", () => {
    const result = compile([
      HUB,
      "AcceptedDomain a {domains: [a.example], recipients: {addresses: [x@a.example, x@c.example], aliases: [{alias: y@b.example, address: x@a.example}]}}",
      "AcceptedDomain b {domains: [b.example]}",
    ]);
    expect(said(result)).toEqual([
      "warning AcceptedDomain/default/a spec.recipients.addresses[1] PartiallyInvalid: x@c.example has no effect: c.example is none of this object's domains",
      "warning AcceptedDomain/default/a spec.recipients.aliases[0].alias PartiallyInvalid: y@b.example has no effect: b.example belongs to default/b",
    ]);
  });
});

describe("compileSnapshot() looks for a way out of accepted domains:", () => {
  const domains = "AcceptedDomain d {domains: [mail.a.example, '*.a.example']}";
  const send = (space: string, more = "") =>
    `SendConnector s {addressSpaces: [{domain: "${space}"}], routing: {type: MX}${more}}`;
  const none = (at: number, domain: string) => [
    `warning AcceptedDomain/default/d spec.domains[${at}] PartiallyInvalid: no SendConnector takes ${domain}: its mail would wait as unreachable`,
  ];
  test.each([
    { name: "* takes every domain", connector: send("*"), want: [] },
    { name: "*.parent takes the domain and its subdomains", connector: send("*.a.example"), want: [] },
    {
      name: "an exact space takes no other domain",
      connector: send("mail.a.example"),
      want: none(1, "*.a.example"),
    },
    {
      name: "a connector for rules only takes none",
      connector: send("*", ", transportRuleScoped: true"),
      want: none(0, "mail.a.example"),
    },
    { name: "an end of the name is no parent", connector: send("*.ample"), want: none(0, "mail.a.example") },
  ])("$name", ({ connector, want }) => expect(said(compile([HUB, domains, connector]))).toEqual(want));
});

describe("compileSnapshot() orders and resolves rules:", () => {
  test("priority, then age, then name", () => {
    const rule = (name: string, priority: number) =>
      `TransportRule ${name} {priority: ${priority}, actions: {deleteMessage: true}}`;
    const { rules } = snapshotOf([
      HUB,
      rule("d", 1),
      rule(`c!${NEW}`, 1),
      rule(`b!${OLD}`, 1),
      rule("a", 1),
      rule("z", 0),
    ]);
    expect(rules.map(({ name }) => name)).toEqual([
      "default/z",
      "default/b",
      "default/c",
      "default/a",
      "default/d",
    ]);
  });

  const send = "SendConnector s {addressSpaces: [{domain: '*'}], routing: {type: MX}}";
  test.each([
    { name: "a bare name is in the rule's namespace", wanted: "s", got: "default/s", says: [] },
    { name: "a full name is taken as it is", wanted: "default/s", got: "default/s", says: [] },
    {
      name: "an unknown connector takes the rule out of force",
      wanted: "t",
      got: undefined,
      says: [
        'error TransportRule/default/r spec.actions.routeMessageOutboundConnector ConnectorNotFound: there is no SendConnector "t" in force on this transport',
        "error TransportRule/default/r  Invalid: Dropped: it has faults and there is no earlier form to fall back to",
      ].sort(),
    },
  ])("$name", ({ wanted, got, says }) => {
    const result = compile([
      HUB,
      send,
      `TransportRule r {actions: {routeMessageOutboundConnector: ${wanted}}}`,
    ]);
    expect(result.snapshot?.rules[0]?.actions.routeMessageOutboundConnector).toBe(got);
    expect(said(result).sort()).toEqual(says);
  });

  test("an unknown receive connector is told, wherever it stands", () => {
    const result = compile([
      HUB,
      "ReceiveConnector in {bindings: [{port: 25}]}",
      "TransportRule r {conditions: {receiveConnectorIs: [in, out], anyOf: [{receiveConnectorIs: [b/in]}]}, actions: {deleteMessage: true}}",
    ]);
    expect(said(result)).toEqual([
      'warning TransportRule/default/r spec.conditions.anyOf[0].receiveConnectorIs[0] ConnectorNotFound: there is no ReceiveConnector "b/in" in force on this transport',
      'warning TransportRule/default/r spec.conditions.receiveConnectorIs[1] ConnectorNotFound: there is no ReceiveConnector "out" in force on this transport',
    ]);
    expect(result.snapshot?.rules).toHaveLength(1);
  });
});

describe("compileSnapshot() checks Secrets:", () => {
  const lines = [
    HUB,
    "ReceiveConnector r {bindings: [{port: 25}], tls: {certificateRefs: [{name: c}]}, authMechanisms: [Tls, BasicAuth], credentialsRef: {name: u}}",
    "SendConnector s {addressSpaces: [{domain: '*'}], routing: {type: SmartHost, smartHosts: [{host: a.example}]}, auth: {secretRef: {name: p}}}",
  ];

  test("one that is missing, or lacks a key, leaves its object in force", () => {
    const secrets = new Map([
      ["default/c", { "tls.crt": "x" }],
      ["default/u", { users: "" }],
    ]);
    const result = compile(lines, { secrets });
    expect(said(result)).toEqual([
      "warning ReceiveConnector/default/r spec.tls.certificateRefs[0].name SecretKeyNotFound: Secret default/c has no key tls.key: TLS is not offered with it",
      "warning SendConnector/default/s spec.auth.secretRef.name SecretNotFound: there is no Secret default/p: mail waits until this is mended",
    ]);
    expect(result.snapshot?.receiveConnectors).toHaveLength(1);
    expect(result.snapshot?.sendConnectors).toHaveLength(1);
  });

  test("their content never enters the snapshot, and does not change its digest", () => {
    const secrets = new Map([["default/u", { users: "ann:hunter2" }]]);
    const { snapshot } = compile(lines, { secrets });
    expect(JSON.stringify(snapshot)).not.toContain("hunter2");
    expect(snapshot?.digest).toBe(snapshotOf(lines).digest);
  });

  test("are not checked when they are not known", () => expect(said(compile(lines))).toEqual([]));
});

describe("compileSnapshot() keeps last good forms:", () => {
  const rule = "TransportRule r {conditions: {subjectContainsWords: [x]}, actions: {deleteMessage: true}}";
  const all = [
    HUB,
    rule,
    "ReceiveConnector in {bindings: [{port: 25}]}",
    "SendConnector out {addressSpaces: [{domain: '*'}], routing: {type: MX}}",
    "AcceptedDomain d {domains: [a.example]}",
  ];
  const previous = snapshotOf(all);
  const names = all
    .map((line) => line.split(" ").slice(0, 2))
    .map(([kind, name]) => `${kind}/default/${name}`);

  test.each(names)("a broken %s stays in force as it was", (object) => {
    const rest = all.filter((_, at) => names[at] !== object);
    const result = compile(rest, { previous, broken: [object] });
    expect(result.snapshot).toEqual(previous);
    expect(said(result)).toEqual([
      `error ${object}  Invalid: Fall Back: the last good form stays in force until the faults are mended`,
    ]);
  });

  test("a broken object without an earlier form is dropped, the rest is in force", () => {
    const result = compile(all, { broken: ["TransportRule/default/new"] });
    expect(result.snapshot).toEqual(previous);
    expect(said(result)).toEqual([
      "error TransportRule/default/new  Invalid: Dropped: it has faults and there is no earlier form to fall back to",
    ]);
  });

  test("a deleted object is gone", () => {
    expect(
      snapshotOf(
        all.filter((line) => line !== rule),
        { previous },
      ).rules,
    ).toEqual([]);
  });

  test("nothing is taken for deleted while manifests cannot be read", () => {
    const result = compile([], { previous, incomplete: true });
    expect(result.snapshot).toEqual(previous);
    const missing =
      "Unreadable: Fall Back: it is missing, but some manifests cannot be read, so it stays in force until they can";
    expect(said(result)).toContain(`warning TransportRule/default/r  ${missing}`);
  });

  test("an object that is disabled meanwhile is not kept", () => {
    const disabled = "TransportRule r {enabled: false, actions: {deleteMessage: true}}";
    const lines = all.map((line) => (line === rule ? disabled : line));
    expect(snapshotOf(lines, { previous, incomplete: true }).rules).toEqual([]);
  });

  test("a rule whose connector is gone keeps its last form: it must not fail open", () => {
    const routed = "TransportRule r {actions: {routeMessageOutboundConnector: out}}";
    const before = snapshotOf([HUB, routed, all[3] ?? ""]);
    const result = compile([HUB, routed], { previous: before });
    expect(result.snapshot?.rules).toEqual(before.rules);
    expect(said(result)).toContain(
      "error TransportRule/default/r  Invalid: Fall Back: the last good form stays in force until the faults are mended",
    );
  });

  test("a rule that is broken meanwhile keeps its place", () => {
    const place = (name: string, created: string) =>
      `TransportRule ${name}!${created} {priority: 1, actions: {deleteMessage: true}}`;
    const lines = [HUB, place("b", OLD), place("a", NEW), place("c", NEW)];
    const before = snapshotOf(lines);
    const rest = lines.filter((line) => !line.startsWith("TransportRule a"));
    const held = snapshotOf(rest, { previous: before, broken: ["TransportRule/default/a"] });
    expect(held.rules.map(({ name }) => name)).toEqual(["default/b", "default/a", "default/c"]);
    expect(held.digest).toBe(before.digest);
  });

  test("a kept domain wins over a newcomer: it was there first", () => {
    const lines = all.map((line) =>
      line.startsWith("AcceptedDomain") ? `AcceptedDomain e!${OLD} {domains: [a.example]}` : line,
    );
    const { acceptedDomains } = snapshotOf(lines, { previous, broken: ["AcceptedDomain/default/d"] });
    expect(acceptedDomains.map(({ name }) => name)).toEqual(["default/d"]);
  });

  test("the snapshot of another transport is no earlier form", () => {
    const result = compile(["MailTransport b {hostname: b.example}"], {
      previous,
      broken: ["TransportRule/default/r"],
    });
    expect(result.snapshot?.rules).toEqual([]);
    expect(said(result)).toEqual([
      "error TransportRule/default/r  Invalid: Dropped: it has faults and there is no earlier form to fall back to",
    ]);
  });
});

describe("compileSnapshot() is deterministic:", () => {
  const many = objects(
    HUB,
    ...Array.from(
      { length: 8 },
      (_, at) =>
        `TransportRule r${at}!${at % 2 ? OLD : NEW} {priority: ${at % 3}, actions: {deleteMessage: true}}`,
    ),
    ...Array.from(
      { length: 6 },
      (_, at) => `AcceptedDomain d${at} {domains: [a${at % 4}.example, b${at}.example]}`,
    ),
    ...Array.from(
      { length: 6 },
      (_, at) =>
        `ReceiveConnector c${at} {bindings: [{port: ${25 + (at % 2)}}], remoteIPRanges: [10.${at % 3}.0.0/16, 11.${at}.0.0/16]}`,
    ),
    ...Array.from(
      { length: 3 },
      (_, at) => `SendConnector s${at} {addressSpaces: [{domain: x${at}.example}], routing: {type: MX}}`,
    ),
  );
  const want = compileSnapshot({ resources: many });

  test("the same objects in any order give the same snapshot and the same diagnostics", () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(many, { minLength: many.length, maxLength: many.length }),
        (resources) => {
          expect(compileSnapshot({ resources })).toEqual(want);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("compiled again over its own result, with anything broken, nothing changes", () => {
    const previous = want.snapshot;
    const objectNames = many.map(({ kind, metadata }) => `${kind}/${metadata.namespace}/${metadata.name}`);
    fc.assert(
      fc.property(fc.subarray(objectNames), fc.boolean(), (broken, incomplete) => {
        const resources = many.filter((_, at) => !broken.includes(objectNames[at] ?? ""));
        const { snapshot } = compileSnapshot({ resources, previous, broken, incomplete });
        expect(snapshot?.transport).toEqual(previous?.transport);
        expect(snapshot?.rules.map(({ name }) => name).sort()).toEqual(
          previous?.rules.map(({ name }) => name).sort(),
        );
      }),
      { numRuns: 100 },
    );
  });

  test("10,000 rules and 100,000 domains compile in full", () => {
    const rules = objects(
      "TransportRule r {conditions: {subjectContainsWords: [x]}, actions: {deleteMessage: true}}",
    );
    const domains = objects("AcceptedDomain d {domains: [a.example]}");
    const copies = (some: AnyResource[], count: number, spec: (at: number) => object) =>
      Array.from({ length: count }, (_, at) =>
        some.map((one) => ({
          ...one,
          metadata: { ...one.metadata, name: `n${at}` },
          spec: { ...one.spec, ...spec(at) },
        })),
      ).flat() as AnyResource[];
    const resources = [
      ...objects(HUB),
      ...copies(rules, 10_000, (at) => ({ priority: at % 100 })),
      ...copies(domains, 100, (at) => ({
        domains: Array.from({ length: 1000 }, (_, index) => `d${at * 1000 + index}.example`),
      })),
    ];
    const { snapshot, diagnostics } = compileSnapshot({ resources });
    expect(diagnostics).toEqual([]);
    expect(snapshot?.rules).toHaveLength(10_000);
    expect(snapshot?.acceptedDomains.flatMap((entry) => entry.domains)).toHaveLength(100_000);
  });
});
