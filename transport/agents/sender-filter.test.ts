import { describe, expect, test } from "vitest";
import { makeContent, makeTools } from "../../test/helpers/agent-facts.ts";
import type { SettingsOf } from "./agent.ts";
import { BLOCKED_SENDER_STAMP, senderFilter } from "./sender-filter.ts";

type Settings = SettingsOf<"senderFilter">;

const DENIED = { action: "reject", reply: { code: 554, status: "5.1.0", text: "Sender denied" } };

function build(settings: Partial<Settings> = {}) {
  const all: Settings = {
    blockedSenders: ["Spam@Bad.example", '"a b"@bad.example'],
    blockedDomains: ["blocked.example", "BÜCHER.example"],
    blockedDomainsAndSubdomains: ["tree.example"],
    blankSenderBlockingEnabled: false,
    action: "Reject",
    ...settings,
  };
  return senderFilter.create(all, makeTools());
}

const rows = [
  { name: "a blocked address is denied", sender: "spam@bad.example", want: DENIED },
  { name: "case does not matter", sender: "SPAM@BAD.EXAMPLE", want: DENIED },
  { name: "a quoted blocked address is denied", sender: '"A b"@bad.example', want: DENIED },
  { name: "another address of that domain passes", sender: "ham@bad.example", want: undefined },
  { name: "a sub-address is another address", sender: "spam+x@bad.example", want: undefined },
  { name: "a blocked domain is denied", sender: "x@blocked.example", want: DENIED },
  { name: "a subdomain of it passes", sender: "x@sub.blocked.example", want: undefined },
  {
    name: "a blocked domain in other letters is the same domain",
    sender: "x@xn--bcher-kva.example",
    want: DENIED,
  },
  { name: "a domain blocked with its subdomains is denied", sender: "x@tree.example", want: DENIED },
  { name: "so is a subdomain at any depth", sender: "x@a.b.tree.example", want: DENIED },
  { name: "a suffix is not a subdomain", sender: "x@notatree.example", want: undefined },
  { name: "everybody else passes", sender: "ann@away.example", want: undefined },
];

describe("onMail", () => {
  test.each([...rows, { name: "the null sender passes", sender: null, want: undefined }])(
    "$name",
    ({ sender, want }) => {
      expect(build().onMail?.(makeContent({ sender }))).toEqual(want);
    },
  );

  test("the null sender is denied on request", () => {
    const on = build({ blankSenderBlockingEnabled: true });
    expect(on.onMail?.(makeContent({ sender: null }))).toEqual(DENIED);
    expect(on.onMail?.(makeContent({ sender: "ann@away.example" }))).toBeUndefined();
  });
});

describe("onEndOfHeaders", () => {
  test.each(rows)("From: $name", ({ sender, want }) => {
    expect(build().onEndOfHeaders?.(makeContent({ header: `From: Name <${sender}>\r\n` }))).toEqual(want);
  });

  test.each([
    {
      name: "one of several authors is enough",
      header: "From: ann@a.example,\r\n\tx@blocked.example\r\n",
      want: DENIED,
    },
    {
      name: "a second From field is judged",
      header: "From: ann@a.example\r\nfrom: x@blocked.example\r\n",
      want: DENIED,
    },
    {
      name: "a display name is no address",
      header: 'From: "x@blocked.example" <ann@a.example>\r\n',
      want: undefined,
    },
    { name: "no From field passes", header: "Subject: x@blocked.example\r\n", want: undefined },
    { name: "nonsense passes", header: "From: <<<>>>,;(((\r\n", want: undefined },
  ])("$name", ({ header, want }) => {
    expect(build().onEndOfHeaders?.(makeContent({ header }))).toEqual(want);
  });
});

test("StampStatus stamps and lets pass", () => {
  const on = build({ action: "StampStatus" });
  const blocked = makeContent({ sender: "x@blocked.example" });
  expect(on.onMail?.(blocked)).toBeUndefined();
  expect(blocked.stamps).toEqual({ [BLOCKED_SENDER_STAMP]: "true" });
  const good = makeContent();
  on.onMail?.(good);
  expect(good.stamps).toEqual({});
});
