import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseIp } from "../../mail/ip-range.ts";
import {
  makeContent,
  makeRecipient,
  makeSession,
  makeTools,
  type ToolFacts,
} from "../../test/helpers/agent-facts.ts";
import type { SettingsOf } from "./agent.ts";
import { blockListName, connectionFilter, isMatch } from "./connection-filter.ts";

type Settings = SettingsOf<"connectionFilter">;
type Provider = Settings["ipBlockListProviders"][number];

const NOON = Date.parse("2026-11-21T12:00:00Z");
const BLOCKED = { action: "reject", reply: { code: 550, status: "5.7.1" } };

function provider(facts: Partial<Provider> = {}): Provider {
  return { lookupDomain: "bl.example", anyMatch: true, ipAddressesMatch: [], ...facts };
}

function build(settings: Partial<Settings>, facts: ToolFacts = {}) {
  const tools = makeTools({ now: () => NOON, ...facts });
  const all: Settings = {
    ipAllowList: [],
    ipBlockList: [],
    ipBlockListProviders: [],
    bypassedRecipients: [],
    lookupTimeout: "3s",
    ...settings,
  };
  return { on: connectionFilter.create(all, tools), lines: tools.lines };
}

async function rcpt(on: ReturnType<typeof build>["on"], clientAddress = "192.0.2.1", to = "ann@c.example") {
  return on.onRcpt?.(makeContent({ session: makeSession({ clientAddress }) }), makeRecipient(to));
}

describe("IP block list", () => {
  const ipBlockList = [
    { range: "192.0.2.0/28" },
    { range: "198.51.100.1-198.51.100.9" },
    { range: "2001:db8::/32" },
    { range: "203.0.113.1", expires: "2026-11-21T12:00:01Z" },
    { range: "203.0.113.2", expires: "2026-11-21T12:00:00Z" },
    { range: "203.0.113.3", expires: "2026-11-21T13:30:00+02:00" },
  ];
  test.each([
    { name: "a client in a CIDR range is refused", client: "192.0.2.15", want: BLOCKED },
    { name: "the next address is not", client: "192.0.2.16", want: undefined },
    { name: "a client in a first-last range is refused", client: "198.51.100.9", want: BLOCKED },
    { name: "an IPv6 client is refused", client: "2001:db8:ffff::1", want: BLOCKED },
    {
      name: "an IPv4 client on an IPv6 socket is its IPv4 address",
      client: "::ffff:192.0.2.1",
      want: BLOCKED,
    },
    { name: "an entry counts until it expires", client: "203.0.113.1", want: BLOCKED },
    { name: "an entry that expires now no longer counts", client: "203.0.113.2", want: undefined },
    { name: "expiry has a time zone", client: "203.0.113.3", want: undefined },
    { name: "an address that cannot be read is not listed", client: "", want: undefined },
    {
      name: "postmaster still gets the mail",
      client: "192.0.2.1",
      to: "Postmaster@c.example",
      want: undefined,
    },
    { name: "bare postmaster still gets the mail", client: "192.0.2.1", to: "postmaster", want: undefined },
    {
      name: "a bypassed recipient still gets the mail",
      client: "192.0.2.1",
      to: "ABUSE@c.example",
      want: undefined,
    },
  ])("$name", async ({ client, to, want }) => {
    const { on } = build({ ipBlockList, bypassedRecipients: ["abuse@C.example"] });
    const verdict = await rcpt(on, client, to);
    if (want === undefined) expect(verdict).toBeUndefined();
    else expect(verdict).toMatchObject(want);
  });

  test("without DNS block lists the answer is synchronous", () => {
    const { on } = build({ ipBlockList });
    expect(on.onRcpt?.(makeContent(), makeRecipient("ann@c.example"))).toMatchObject(BLOCKED);
  });
});

describe("IP allow list", () => {
  test.each([
    { name: "a listed client is exempt", client: "192.0.2.7", want: true },
    { name: "another is not", client: "192.0.3.7", want: false },
    { name: "an expired entry exempts nobody", client: "203.0.113.2", want: false },
    { name: "a message made here has no client", client: "", want: false },
  ])("$name", ({ client, want }) => {
    const { on } = build({
      ipAllowList: [{ range: "192.0.2.0/24" }, { range: "203.0.113.2", expires: "2020-01-01T00:00:00Z" }],
    });
    expect(on.exempts?.(client)).toBe(want);
  });
});

describe("DNS block lists", () => {
  const answering = (table: Record<string, readonly string[]>) => {
    const asked: string[] = [];
    const addresses = async (name: string) => {
      asked.push(name);
      return table[name] ?? [];
    };
    return { asked, addresses };
  };

  test.each([
    { name: "a listed client is refused with the list's text", answers: ["127.0.0.2"], want: "Go away" },
    { name: "no answer means not listed", answers: [], want: undefined },
    { name: "an answer outside 127/8 lists nobody", answers: ["203.0.113.80"], want: undefined },
    { name: "one good answer among others counts", answers: ["203.0.113.80", "127.0.0.4"], want: "Go away" },
    { name: "an error answer lists nobody", answers: ["127.255.255.254"], want: undefined },
    { name: "text that is no address lists nobody", answers: ["127.0.0.x"], want: undefined },
  ])("$name", async ({ answers, want }) => {
    const { addresses } = answering({ "1.2.0.192.bl.example": answers });
    const { on } = build(
      { ipBlockListProviders: [provider({ rejectionResponse: "Go away" })] },
      { addresses },
    );
    const verdict = await rcpt(on);
    expect(verdict && "reply" in verdict ? verdict.reply.text : verdict).toBe(want);
  });

  test("an error answer is logged", async () => {
    const { addresses } = answering({ "1.2.0.192.bl.example": ["127.255.255.252"] });
    const { on, lines } = build({ ipBlockListProviders: [provider()] }, { addresses });
    await rcpt(on);
    expect(lines).toMatchObject([{ fields: { lookupDomain: "bl.example", answer: "127.255.255.252" } }]);
  });

  test("the first list in order that lists the client gives the text", async () => {
    const { addresses } = answering({
      "1.2.0.192.two.example": ["127.0.0.2"],
      "1.2.0.192.three.example": ["127.0.0.2"],
    });
    const lists = ["one", "two", "three"].map((name) =>
      provider({ lookupDomain: `${name}.example`, rejectionResponse: name }),
    );
    const { on } = build({ ipBlockListProviders: lists }, { addresses });
    expect(await rcpt(on)).toMatchObject({ reply: { text: "two" } });
  });

  test.each([
    {
      name: "a failed lookup counts as no match and is logged",
      addresses: async () => Promise.reject(new Error("SERVFAIL")),
      cause: "SERVFAIL",
    },
    {
      name: "a resolver that throws counts as no match",
      addresses: () => {
        throw new Error("broken");
      },
      cause: "broken",
    },
    {
      name: "a lookup that never ends counts as no match after lookupTimeout",
      addresses: () => new Promise<never>(() => {}),
      cause: "No answer within 3000 ms",
    },
  ])("$name", async ({ addresses, cause }) => {
    const sleep = async (ms: number) => {
      expect(ms).toBe(3_000);
      if (cause.startsWith("No answer")) return;
      await new Promise(() => {});
    };
    const { on, lines } = build({ ipBlockListProviders: [provider()] }, { addresses, sleep });
    expect(await rcpt(on)).toBeUndefined();
    expect(lines).toHaveLength(1);
    expect(String(lines[0]?.fields.cause)).toContain(cause);
  });

  test("one list that fails does not hide another that lists the client", async () => {
    const addresses = async (name: string) => {
      if (name.endsWith("dead.example")) throw new Error("SERVFAIL");
      return ["127.0.0.2"];
    };
    const lists = [provider({ lookupDomain: "dead.example" }), provider({ lookupDomain: "live.example" })];
    const { on } = build({ ipBlockListProviders: lists }, { addresses });
    expect(await rcpt(on)).toMatchObject(BLOCKED);
  });

  test("a session asks once, from MAIL FROM on, for all its recipients", async () => {
    const { addresses, asked } = answering({});
    const { on } = build({ ipBlockListProviders: [provider()] }, { addresses });
    const content = makeContent();
    expect(on.onMail?.(content)).toBeUndefined();
    expect(asked).toEqual(["1.2.0.192.bl.example"]);
    await on.onRcpt?.(content, makeRecipient("ann@c.example"));
    await on.onRcpt?.(content, makeRecipient("bob@c.example"));
    expect(asked).toHaveLength(1);
  });

  test("a client of the local block list is not asked about", async () => {
    const { addresses, asked } = answering({});
    const { on } = build(
      { ipBlockList: [{ range: "192.0.2.1" }], ipBlockListProviders: [provider()] },
      { addresses },
    );
    on.onMail?.(makeContent());
    expect(await rcpt(on)).toMatchObject(BLOCKED);
    expect(asked).toEqual([]);
  });
});

describe("isMatch()", () => {
  test.each([
    { name: "anyMatch takes every answer in 127/8", answer: "127.9.9.9", facts: {}, want: true },
    {
      name: "a listed answer counts",
      answer: "127.0.0.4",
      facts: { anyMatch: false, ipAddressesMatch: ["127.0.0.4"] },
      want: true,
    },
    {
      name: "another answer does not",
      answer: "127.0.0.5",
      facts: { anyMatch: false, ipAddressesMatch: ["127.0.0.4"] },
      want: false,
    },
    {
      name: "one bit of the mask is enough",
      answer: "127.0.0.4",
      facts: { anyMatch: false, bitmaskMatch: "127.0.0.6" },
      want: true,
    },
    {
      name: "no bit of the mask is no match, although both begin with 127",
      answer: "127.0.0.8",
      facts: { anyMatch: false, bitmaskMatch: "127.0.0.6" },
      want: false,
    },
    {
      name: "neither mask nor answers match nothing",
      answer: "127.0.0.2",
      facts: { anyMatch: false },
      want: false,
    },
    { name: "an IPv6 answer matches nothing", answer: "::1", facts: {}, want: false },
  ])("$name", ({ answer, facts, want }) => {
    expect(isMatch(answer, provider(facts))).toBe(want);
  });
});

describe("blockListName()", () => {
  test.each([
    { name: "IPv4 octets are reversed", ip: "192.0.2.99", want: "99.2.0.192.bl.example" },
    {
      name: "IPv6 nibbles are reversed (RFC 5782 section 2.4)",
      ip: "2001:db8:1:2:3:4:567:89ab",
      want: "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example",
    },
    { name: "leading zeros are kept", ip: "::1", want: `1.${"0.".repeat(31)}bl.example` },
  ])("$name", ({ ip, want }) => {
    expect(blockListName(parseIp(ip)!, "bl.example")).toBe(want);
  });

  test("reversing back gives the IPv4 address", () => {
    fc.assert(
      fc.property(fc.ipV4(), (ip) => {
        expect(blockListName(parseIp(ip)!, "x").split(".").slice(0, 4).reverse().join(".")).toBe(ip);
      }),
    );
  });
});
