import { describe, expect, test } from "vitest";
import type { DnsAnswer, DnsResolver, MxRow } from "./dns.ts";
import { mailHosts } from "./mx.ts";
import { orderSmartHosts, smartHostPort } from "./smart-host.ts";

function resolverOf(answer: DnsAnswer<MxRow>): DnsResolver {
  const none = async () => ({ kind: "none" }) as const;
  return {
    mx: async () => answer,
    lookup: none,
    lookupHost: none,
    addresses: async () => [],
    texts: async () => [],
  };
}

function found(...rows: [number, string][]): DnsAnswer<MxRow> {
  return { kind: "found", records: rows.map(([preference, exchange]) => ({ preference, exchange })) };
}

async function hosts(answer: DnsAnswer<MxRow>, random = () => 0.5, domain = "d.example") {
  const list = await mailHosts(domain, { resolver: resolverOf(answer), ownNames: ["me.test"], random });
  return list.kind === "hosts" ? list.hosts : `${list.kind} ${list.status}`;
}

describe("mailHosts()", () => {
  test.each([
    { name: "lower preference first", answer: found([20, "b"], [5, "a"], [100, "c"]), want: ["a", "b", "c"] },
    {
      name: "a host listed twice is tried once, at its best",
      answer: found([20, "a"], [5, "a"], [10, "b"]),
      want: ["a", "b"],
    },
    {
      name: "final dots and capitals do not matter",
      answer: found([5, "MX.Example."]),
      want: ["mx.example"],
    },
    { name: "a root record among others is no null MX", answer: found([0, ""], [5, "a"]), want: ["a"] },
    { name: "a root record alone is", answer: found([0, ""]), want: "failed 5.1.10" },
    {
      name: "ourselves and equal or worse ones are cut",
      answer: found([5, "a"], [10, "me.test"], [10, "b"], [20, "c"]),
      want: ["a"],
    },
    {
      name: "ourselves as the best is a loop",
      answer: found([5, "me.test"], [10, "b"]),
      want: "failed 5.4.6",
    },
    { name: "no MX: the domain", answer: { kind: "none" } as const, want: ["d.example"] },
    {
      name: "no MX for our own name is a loop",
      answer: { kind: "none" } as const,
      domain: "me.test",
      want: "failed 5.4.6",
    },
    {
      name: "a literal that is no address fails",
      answer: { kind: "none" } as const,
      domain: "[X400:abc]",
      want: "failed 5.1.3",
    },
    {
      name: "an IPv6 literal",
      answer: { kind: "none" } as const,
      domain: "[IPv6:2001:db8::1]",
      want: ["2001:db8::1"],
    },
  ])("$name", async ({ answer, want, domain }) => {
    expect(await hosts(answer, undefined, domain)).toEqual(want);
  });

  test("equal preferences are ordered by the dice", async () => {
    const dice = [0.9, 0.1, 0.5];
    expect(await hosts(found([5, "a"], [5, "b"], [5, "c"]), () => dice.shift() ?? 0)).toEqual([
      "b",
      "c",
      "a",
    ]);
  });

  test("a zone that lists thousands gives twenty", async () => {
    const many = Array.from({ length: 5000 }, (_, index): [number, string] => [index, `h${index}`]);
    expect(await hosts(found(...many))).toHaveLength(20);
  });
});

describe("orderSmartHosts()", () => {
  const host = (name: string, priority: number) => ({ host: name, priority, protocol: "SMTP" as const });
  test("equal ones turn, priorities stay", () => {
    const list = [host("z", 9), host("a", 0), host("b", 0), host("c", 0)];
    const order = (turn: number) =>
      orderSmartHosts(list, turn)
        .map((one) => one.host)
        .join("");
    expect([0, 1, 2, 3].map(order)).toEqual(["abcz", "bcaz", "cabz", "abcz"]);
  });

  test("ports default by protocol", () => {
    expect(smartHostPort(host("a", 0))).toBe(25);
    expect(smartHostPort({ ...host("a", 0), protocol: "LMTP" })).toBe(24);
    expect(smartHostPort({ ...host("a", 0), port: 2525 })).toBe(2525);
  });
});
