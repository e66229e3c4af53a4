import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Address, parseAddress } from "../mail/address.ts";
import { createDomainTable } from "./domain-table.ts";
import type { AcceptedDomainEntry } from "./schema.ts";

type Recipients = AcceptedDomainEntry["recipients"];

function entry(
  name: string,
  domains: readonly string[],
  options: { type?: AcceptedDomainEntry["type"]; recipients?: Partial<Recipients> } = {},
): AcceptedDomainEntry {
  const recipients: Recipients = {
    validation: "None",
    addresses: [],
    aliases: [],
    groups: [],
    forwards: [],
    ...options.recipients,
  };
  return { name, domains, type: options.type ?? "Authoritative", recipients };
}

const at = (text: string): Address => parseAddress(text)!;

const table = createDomainTable([
  entry("m/contoso", ["contoso.example", "*.contoso.example"], {
    recipients: {
      validation: "Reject",
      addresses: [
        "Ann@Contoso.Example",
        '"b b"@contoso.example',
        "x@branch.contoso.example",
        "not an address",
      ],
      aliases: [
        { alias: "sales@contoso.example", address: "ANN@contoso.example" },
        { alias: "bob@relay.example", address: "ann@contoso.example" },
        { alias: "broken@contoso.example", address: "nobody" },
      ],
      groups: [
        {
          address: "all@contoso.example",
          members: ["ann@contoso.example", "??"],
          requireSenderAuthentication: true,
        },
      ],
      forwards: [
        {
          address: "ann@contoso.example",
          forwardTo: ["a@away.example"],
          deliverToMailboxAndForward: false,
        },
        { address: "dead@contoso.example", forwardTo: ["??"], deliverToMailboxAndForward: false },
      ],
    },
  }),
  entry("m/lab", ["lab.contoso.example", "*.deep.lab.contoso.example"]),
  entry("m/relay", ["relay.example"], { type: "InternalRelay", recipients: { validation: "Reject" } }),
  entry("m/partner", ["partner.example", "*.only.example"], { type: "ExternalRelay" }),
]);

describe("find()", () => {
  test.each([
    { name: "an exact domain is found", domain: "contoso.example", want: "m/contoso" },
    { name: "*.x holds a subdomain", domain: "a.contoso.example", want: "m/contoso" },
    { name: "*.x holds a subdomain at any depth", domain: "a.b.c.contoso.example", want: "m/contoso" },
    { name: "*.x does not hold x itself", domain: "only.example", want: undefined },
    { name: "an exact domain beats *.parent", domain: "lab.contoso.example", want: "m/lab" },
    { name: "the nearest *.parent wins", domain: "a.deep.lab.contoso.example", want: "m/lab" },
    { name: "an exact domain does not hold its subdomains", domain: "a.relay.example", want: undefined },
    {
      name: "below an exact domain the outer *.parent holds",
      domain: "a.lab.contoso.example",
      want: "m/contoso",
    },
    { name: "a suffix is not a subdomain", domain: "notcontoso.example", want: undefined },
    { name: "an address literal is outside", domain: "[192.0.2.1]", want: undefined },
    { name: "the empty domain is outside", domain: "", want: undefined },
    { name: "a property of Object is no domain", domain: "constructor", want: undefined },
  ])("$name", ({ domain, want }) => {
    expect(table.find(domain)?.name).toBe(want);
  });
});

describe("classify()", () => {
  test.each([
    { name: "a listed address is known", address: "x@branch.contoso.example", want: "known" },
    { name: "case does not matter", address: "ANN@contoso.example", want: "known" },
    { name: "a quoted local part is known", address: '"B b"@contoso.example', want: "known" },
    { name: "a sub-address is its plain address", address: "ann+news@contoso.example", want: "known" },
    { name: "only the first plus ends the plain address", address: "ann+a+b@contoso.example", want: "known" },
    { name: "a leading plus is no sub-address", address: "+ann@contoso.example", want: "unknown" },
    { name: "Reject and not listed is unknown", address: "zed@contoso.example", want: "unknown" },
    { name: "postmaster always exists", address: "PostMaster@contoso.example", want: "unlisted" },
    {
      name: "without validation everything is unlisted",
      address: "zed@lab.contoso.example",
      want: "unlisted",
    },
    { name: "a relay domain validates nobody", address: "zed@relay.example", want: "unlisted" },
    {
      name: "an alias in a domain of another object does not count",
      address: "bob@relay.example",
      want: "unlisted",
    },
    {
      name: "an alias to text that is no address does not exist",
      address: "broken@contoso.example",
      want: "unknown",
    },
    { name: "another domain is outside", address: "ann@away.example", want: "outside" },
  ])("$name", ({ address, want }) => {
    expect(table.classify(at(address))).toBe(want);
  });

  test("bare postmaster leads to the first Authoritative domain", () => {
    const bare = { localPart: "Postmaster", domain: "" };
    expect(table.classify(bare)).toBe("known");
    expect(table.lookup(bare)).toEqual({
      kind: "alias",
      target: { localPart: "postmaster", domain: "contoso.example" },
    });
    expect(createDomainTable([]).classify(bare)).toBe("outside");
  });
});

describe("postmaster at the transport's own name", () => {
  const entries = [entry("default/contoso", ["contoso.example"])];
  const record = { kind: "alias", target: { localPart: "postmaster", domain: "contoso.example" } };
  test.each([
    { name: "is the postmaster", address: "Postmaster@MX.Hub.example", want: record },
    { name: "is alone there", address: "ann@mx.hub.example", want: undefined },
  ])("$name", ({ address, want }) => {
    expect(createDomainTable(entries, "mx.hub.example").lookup(at(address))).toEqual(want);
  });

  test("is left to the accepted domain that holds the name", () => {
    expect(createDomainTable(entries, "contoso.example").lookup(at("postmaster@contoso.example"))).toBe(
      undefined,
    );
  });
});

describe("lookup()", () => {
  test.each([
    {
      name: "a forward wins over the mailbox of the same address",
      address: "ann@contoso.example",
      want: { kind: "forward", targets: [at("a@away.example")], keepCopy: false },
    },
    {
      name: "an alias holds its parsed target",
      address: "Sales+x@contoso.example",
      want: { kind: "alias", target: at("ANN@contoso.example") },
    },
    {
      name: "a group keeps the members that are addresses",
      address: "all@contoso.example",
      want: { kind: "group", members: [at("ann@contoso.example")], requireSenderAuthentication: true },
    },
    {
      name: "a forward to nowhere keeps its mailbox",
      address: "dead@contoso.example",
      want: { kind: "forward", targets: [], keepCopy: true },
    },
    { name: "an unlisted address has no record", address: "zed@contoso.example", want: undefined },
  ])("$name", ({ address, want }) => {
    expect(table.lookup(at(address))).toEqual(want);
  });
});

describe("isInside()", () => {
  test.each([
    { name: "Authoritative is inside", domain: "contoso.example", want: true },
    { name: "InternalRelay is inside", domain: "relay.example", want: true },
    { name: "ExternalRelay is outside", domain: "partner.example", want: false },
    { name: "any other domain is outside", domain: "away.example", want: false },
  ])("$name", ({ domain, want }) => {
    expect(table.isInside(domain)).toBe(want);
  });
});

describe("createDomainTable()", () => {
  test("a full address that is listed beats its plain form", () => {
    const both = createDomainTable([
      entry("m/a", ["a.example"], {
        recipients: {
          addresses: ["ann@a.example"],
          aliases: [{ alias: "ann+vip@a.example", address: "boss@a.example" }],
        },
      }),
    ]);
    expect(both.lookup(at("ann+vip@a.example"))?.kind).toBe("alias");
    expect(both.lookup(at("ann+other@a.example"))?.kind).toBe("mailbox");
  });

  test("find() agrees with a search through every pattern", () => {
    const label = fc.constantFrom("a", "b", "c");
    const domain = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
    const pattern = fc.tuple(fc.boolean(), domain).map(([star, name]) => (star ? `*.${name}` : name));
    fc.assert(
      fc.property(fc.uniqueArray(pattern, { maxLength: 12 }), domain, (patterns, wanted) => {
        const found = createDomainTable(patterns.map((text) => entry(text, [text]))).find(wanted);
        const matching = patterns.filter((text) =>
          text.startsWith("*.") ? wanted.endsWith(text.slice(1)) : wanted === text,
        );
        const best = matching.sort((a, b) => rank(b) - rank(a))[0];
        expect(found?.name).toBe(best);
      }),
    );
    function rank(text: string): number {
      return text.startsWith("*.") ? text.length - 1 : 1000;
    }
  });

  test("100,000 domains and 100,000 recipients are found in constant time", () => {
    const domains = Array.from({ length: 100_000 }, (_, index) => `d${index}.example`);
    const addresses = domains.map((domain) => `user@${domain}`);
    const big = createDomainTable([
      entry("m/big", domains, { recipients: { validation: "Reject", addresses } }),
    ]);
    const from = performance.now();
    for (const address of addresses) {
      if (big.classify({ localPart: "User", domain: address.slice(5) }) !== "known") expect.fail(address);
    }
    // A linear search would need minutes; the bound is wide because the machine is shared.
    expect(performance.now() - from).toBeLessThan(20_000);
    expect(big.classify(at("nobody@d7.example"))).toBe("unknown");
  });
});
