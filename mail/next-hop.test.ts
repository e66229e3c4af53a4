import { describe, expect, test } from "vitest";
import { nextHop, parseNextHopKey } from "./next-hop.ts";

describe("nextHop()", () => {
  test.each([
    {
      name: "a connector with one queue is named alone",
      hop: nextHop("mail/hosts", "", false),
      key: "mail/hosts",
    },
    {
      name: "MX has a queue per domain",
      hop: nextHop("mail/mx", "x.example", false),
      key: "mail/mx:x.example",
    },
    {
      name: "TLS that the message demands is a queue apart",
      hop: nextHop("mail/mx", "x.example", true),
      key: "mail/mx:x.example+tls",
    },
    { name: "so it is without a domain", hop: nextHop("mail/hosts", "", true), key: "mail/hosts+tls" },
    {
      name: "an address literal keeps its colons",
      hop: nextHop("mail/mx", "[IPv6:2001:db8::1]", false),
      key: "mail/mx:[IPv6:2001:db8::1]",
    },
  ])("$name", ({ hop, key }) => {
    expect(hop.key).toBe(key);
    expect(parseNextHopKey(key)).toEqual(hop);
  });
});
