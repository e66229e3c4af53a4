import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Address, parseAddress } from "../../mail/address.ts";
import type { Recipient } from "../../mail/message.ts";
import { createDomainTable } from "../../snapshot/domain-table.ts";
import type { SendConnectorEntry } from "../../snapshot/schema.ts";
import { createRouter, type RouteFacts, type Routing } from "./mod.ts";

interface Options {
  readonly size?: number;
  readonly scoped?: boolean;
  readonly type?: "MX" | "SmartHost" | "Drop";
}

/** spaces: "contoso.example 10" is a domain and its cost. */
function connector(name: string, spaces: readonly string[], options: Options = {}): SendConnectorEntry {
  return {
    name,
    addressSpaces: spaces.map((space) => {
      const [domain = "", cost = "1"] = space.split(" ");
      return { domain, cost: Number(cost) };
    }),
    transportRuleScoped: options.scoped ?? false,
    routing: {
      type: options.type ?? "SmartHost",
      smartHosts: [],
      port: 25,
      ipFamilies: ["IPv4"],
      directory: undefined,
    },
    maxMessageSize: options.size,
    tls: {
      mode: "Opportunistic",
      implicit: false,
      serverName: undefined,
      ca: undefined,
      clientCertificate: undefined,
    },
    auth: undefined,
    fqdn: "mx.example",
    sourceIPAddress: undefined,
    maxConnections: 20,
    smtpMaxMessagesPerConnection: 100,
    connectionTimeoutMs: 1,
    connectionInactivityTimeoutMs: 1,
    protocolLoggingLevel: "None",
  };
}

const to = (text: string): Recipient => {
  const address = parseAddress(text) as Address;
  return { address, original: address };
};

const FACTS: RouteFacts = { size: 1000, requireTls: false, connectorOverride: undefined };
const domains = createDomainTable([
  {
    name: "m/ours",
    domains: ["ours.example"],
    type: "Authoritative",
    recipients: { validation: "None", addresses: [], aliases: [], groups: [], forwards: [] },
  },
]);

function route(
  connectors: readonly SendConnectorEntry[],
  recipients: readonly string[],
  facts: Partial<RouteFacts> = {},
) {
  return createRouter(connectors, domains).route(
    recipients.map(to),
    { ...FACTS, ...facts },
    { explain: true },
  );
}

const keys = ({ routes }: Routing) => routes.map(({ nextHop }) => nextHop.key);

const standard = [
  connector("m/internet", ["*"], { type: "MX" }),
  connector("m/tree", ["*.contoso.example 5"]),
  connector("m/deep", ["*.a.contoso.example 50"]),
  connector("m/exact", ["x.a.contoso.example 90"]),
  connector("m/secret", ["*.contoso.example 1"], { scoped: true }),
];

describe("route()", () => {
  test.each([
    {
      name: "the exact name beats every wildcard, whatever it costs",
      domain: "x.a.contoso.example",
      want: "m/exact",
    },
    { name: "the longer *.parent beats the shorter", domain: "y.a.contoso.example", want: "m/deep" },
    { name: "*.x holds x itself", domain: "contoso.example", want: "m/tree" },
    { name: "*.x holds a subdomain", domain: "b.contoso.example", want: "m/tree" },
    {
      name: "an exact name does not hold what is below it",
      domain: "z.x.a.contoso.example",
      want: "m/deep",
    },
    {
      name: "a suffix is not a subdomain",
      domain: "notcontoso.example",
      want: "m/internet:notcontoso.example",
    },
    {
      name: "* holds the rest, by MX one queue a domain",
      domain: "away.example",
      want: "m/internet:away.example",
    },
    { name: "an IPv4 literal matches only *", domain: "[192.0.2.1]", want: "m/internet:[192.0.2.1]" },
    {
      name: "an IPv6 literal matches only *",
      domain: "[IPv6:2001:db8::1]",
      want: "m/internet:[IPv6:2001:db8::1]",
    },
  ])("$name", ({ domain, want }) => {
    expect(keys(route(standard, [`u@${domain}`]))).toEqual([want]);
  });

  test.each([
    {
      name: "the lower cost wins",
      spaces: [
        ["m/a", "x.example 20"],
        ["m/b", "x.example 10"],
      ],
      want: "m/b",
    },
    {
      name: "at equal cost the name decides",
      spaces: [
        ["m/b", "x.example"],
        ["m/a", "x.example"],
      ],
      want: "m/a",
    },
    {
      name: "cost does not beat a longer match",
      spaces: [
        ["m/a", "*.x.example 1"],
        ["m/b", "x.example 99"],
      ],
      want: "m/b",
    },
    {
      name: "names compare by code, not by language",
      spaces: [
        ["m/b", "x.example"],
        ["m/B", "x.example"],
      ],
      want: "m/B",
    },
    { name: "a space is compared without case", spaces: [["m/a", "X.Example"]], want: "m/a" },
    {
      name: "a space is compared as A-label",
      spaces: [["m/a", "*.bücher.example"]],
      at: "u@xn--bcher-kva.example",
      want: "m/a",
    },
    { name: "a final dot means nothing", spaces: [["m/a", "x.example."]], want: "m/a" },
    {
      name: "the cheaper of two equal spaces of one connector counts",
      spaces: [
        ["m/a", "x.example 2"],
        ["m/b", "x.example 9"],
        ["m/b", "x.example 1"],
      ],
      want: "m/b",
    },
  ])("$name", ({ spaces, want, at = "u@x.example" }) => {
    expect(
      keys(
        route(
          spaces.map(([name = "", space = ""]) => connector(name, [space])),
          [at],
        ),
      ),
    ).toEqual([want]);
  });

  test.each([
    { name: "no connector at all is unreachable", connectors: [] },
    { name: "no match is unreachable", connectors: [connector("m/a", ["y.example"])] },
    {
      name: "a connector for rules only is no match",
      connectors: [connector("m/a", ["*"], { scoped: true })],
    },
    {
      name: "a space that is no domain matches nothing",
      connectors: [connector("m/a", ["*x.example", "x*.example", "[192.0.2.1]", "", "."])],
    },
  ])("$name", ({ connectors }) => {
    const routing = route(connectors, ["u@x.example", "u@[192.0.2.1]"]);
    expect(routing).toMatchObject({ routes: [], failed: [] });
    expect(routing.unreachable).toHaveLength(2);
  });

  test.each([
    {
      name: "one too small is skipped for an equal one",
      connectors: [connector("m/a", ["x.example"], { size: 999 }), connector("m/b", ["x.example 9"])],
      want: ["m/b"],
    },
    {
      name: "one too small is skipped for a less specific one",
      connectors: [connector("m/a", ["x.example"], { size: 999 }), connector("m/b", ["*"])],
      want: ["m/b"],
    },
    {
      name: "one that is exactly large enough is taken",
      connectors: [connector("m/a", ["x.example"], { size: 1000 }), connector("m/b", ["*"])],
      want: ["m/a"],
    },
  ])("$name", ({ connectors, want }) => {
    expect(keys(route(connectors, ["u@x.example"]))).toEqual(want);
  });

  test("too big for every match fails 5.3.4", () => {
    const connectors = [
      connector("m/a", ["x.example"], { size: 999 }),
      connector("m/b", ["*"], { size: 10 }),
    ];
    const routing = route(connectors, ["u@x.example"]);
    expect(routing).toMatchObject({ routes: [], unreachable: [] });
    expect(routing.failed).toMatchObject([
      { status: "5.3.4", recipient: { address: { domain: "x.example" } } },
    ]);
  });

  test.each([
    { name: "an override beats the address space", override: "m/exact", want: ["m/exact"] },
    { name: "an override reaches a connector for rules only", override: "m/secret", want: ["m/secret"] },
    {
      name: "an override by MX keeps the domain",
      override: "m/internet",
      want: ["m/internet:x.contoso.example"],
    },
  ])("$name", ({ override, want }) => {
    expect(keys(route(standard, ["u@x.contoso.example"], { connectorOverride: override }))).toEqual(want);
  });

  test("an override that is gone is unreachable", () => {
    expect(route(standard, ["u@contoso.example"], { connectorOverride: "m/gone" }).unreachable).toHaveLength(
      1,
    );
  });

  test("an override that is too small fails 5.3.4", () => {
    const connectors = [connector("m/a", ["y.example"], { size: 10 }), connector("m/b", ["*"])];
    const routing = route(connectors, ["u@x.example"], { connectorOverride: "m/a" });
    expect(routing.failed).toMatchObject([{ status: "5.3.4" }]);
  });

  test("recipients of one next hop travel together, in order", () => {
    const recipients = [
      "a@x.example",
      "b@contoso.example",
      "c@x.example",
      "d@b.contoso.example",
      "e@y.example",
    ];
    const { routes } = route(standard, recipients);
    expect(
      routes.map(({ nextHop, recipients: list }) => [
        nextHop.key,
        list.map((r) => r.address.localPart).join(""),
      ]),
    ).toEqual([
      ["m/internet:x.example", "ac"],
      ["m/tree", "bd"],
      ["m/internet:y.example", "e"],
    ]);
  });

  test("Drop has one queue for the connector", () => {
    expect(keys(route([connector("m/d", ["*"], { type: "Drop" })], ["a@x.example", "b@y.example"]))).toEqual([
      "m/d",
    ]);
  });

  test("a message that requires TLS has a queue of its own", () => {
    const { routes } = route(standard, ["u@x.example"], { requireTls: true });
    expect(routes[0]?.nextHop).toEqual({
      key: "m/internet:x.example+tls",
      connector: "m/internet",
      domain: "x.example",
      requireTls: true,
    });
  });

  test("no recipients, no routes; no explanation unless asked", () => {
    const router = createRouter(standard, domains);
    expect(router.route([], FACTS)).toEqual({ routes: [], unreachable: [], failed: [], explanation: [] });
    expect(router.route([to("u@x.example")], FACTS).explanation).toEqual([]);
  });
});

describe("explanation", () => {
  const verdicts = (routing: Routing) =>
    routing.explanation[0]?.candidates.map(
      ({ connector: name, addressSpace, verdict }) => `${name} ${addressSpace}: ${verdict}`,
    );

  test("every connector has its verdict, the chosen one first", () => {
    const connectors = [
      ...standard,
      connector("m/small", ["b.contoso.example"], { size: 1 }),
      connector("m/dear", ["*.contoso.example 6"]),
      connector("m/twin", ["*.contoso.example 5", "other.example"]),
    ];
    expect(verdicts(route(connectors, ["u@b.contoso.example"]))).toEqual([
      "m/tree *.contoso.example: chosen",
      "m/small b.contoso.example: too small for 1000 octets",
      "m/secret *.contoso.example: only rules choose this connector",
      "m/twin *.contoso.example: name after m/tree",
      "m/dear *.contoso.example: cost 6 > 5",
      "m/internet *: less specific than *.contoso.example",
      "m/deep *.a.contoso.example: address space does not match",
      "m/exact x.a.contoso.example: address space does not match",
    ]);
  });

  test("a domain of ours that only * takes by MX is warned of", () => {
    expect(verdicts(route(standard, ["u@ours.example"]))?.[0]).toBe(
      "m/internet *: chosen, but ours.example is ours: mail loops if its MX records name this transport",
    );
    expect(verdicts(route([connector("m/hub", ["*"])], ["u@ours.example"]))?.[0]).toBe("m/hub *: chosen");
  });

  test.each([
    { name: "an override says so", override: "m/deep", first: "m/deep : chosen by a rule" },
    {
      name: "a gone override says so",
      override: "m/gone",
      first: "m/gone : chosen by a rule, but there is no such connector",
    },
  ])("$name", ({ override, first }) => {
    const lines = verdicts(route(standard, ["u@x.example"], { connectorOverride: override }));
    expect(lines?.[0]).toBe(first);
    expect(lines).toContain(`m/internet *: a rule chose ${override}`);
  });

  test("a too small override says so", () => {
    const lines = verdicts(
      route([connector("m/a", ["*"], { size: 1 })], ["u@x.example"], { connectorOverride: "m/a" }),
    );
    expect(lines).toEqual(["m/a : chosen by a rule, but too small for the message"]);
  });
});

describe("on any configuration", () => {
  const label = fc.constantFrom("a", "b", "c");
  const name = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join("."));
  const space = fc.oneof(
    name,
    name.map((text) => `*.${text}`),
    fc.constant("*"),
  );
  const anyConnector = fc.record({
    spaces: fc.array(fc.tuple(space, fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength: 3 }),
    size: fc.constantFrom(undefined, 10, 5000),
    scoped: fc.boolean(),
    type: fc.constantFrom("MX" as const, "SmartHost" as const),
  });
  const configuration = fc.array(anyConnector, { maxLength: 8 }).map((list) =>
    list.map(({ spaces, ...rest }, index) =>
      connector(
        `m/c${index}`,
        spaces.map(([text, cost]) => `${text} ${cost}`),
        rest as Options,
      ),
    ),
  );

  test("the order of connectors does not matter", () => {
    fc.assert(
      fc.property(
        configuration.chain((list) =>
          fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
        ),
        fc.array(name, { maxLength: 4 }),
        ([list, shuffled], names) => {
          const recipients = names.map((text) => `u@${text}`);
          expect(route(shuffled, recipients)).toEqual(route(list, recipients));
        },
      ),
      { numRuns: 400 },
    );
  });

  test("the index chooses what the explanation ranks first", () => {
    fc.assert(
      fc.property(configuration, name, (list, domain) => {
        const { routes, explanation } = route(list, [`u@${domain}`]);
        const chosen = explanation[0]?.candidates.filter(({ verdict }) => verdict.startsWith("chosen"));
        expect(chosen?.map(({ connector: found }) => found)).toEqual(
          routes.map(({ nextHop }) => nextHop.connector),
        );
        expect(explanation[0]?.candidates.filter(({ verdict }) => verdict === "not chosen")).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });

  test("every recipient ends in exactly one place", () => {
    fc.assert(
      fc.property(configuration, fc.array(name, { maxLength: 6 }), (list, names) => {
        const { routes, unreachable, failed } = route(
          list,
          names.map((text) => `u@${text}`),
        );
        const routed = routes.reduce((sum, { recipients }) => sum + recipients.length, 0);
        expect(routed + unreachable.length + failed.length).toBe(names.length);
      }),
    );
  });
});

test("10,000 connectors cost a route no more than one", () => {
  const many = Array.from({ length: 10_000 }, (_, index) =>
    connector(`m/${index}`, [`d${index}.example`, `*.t${index}.example`]),
  );
  const router = createRouter([...many, ...standard], domains);
  const from = performance.now();
  for (let index = 0; index < 10_000; index++) {
    const { routes } = router.route([to(`u@a.b.t${index}.example`)], FACTS);
    expect(routes[0]?.nextHop.connector).toBe(`m/${index}`);
  }
  // A search through all would compare 200 million spaces.
  expect(performance.now() - from).toBeLessThan(5_000);
});
