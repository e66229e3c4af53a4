import { describe, expect, test } from "vitest";
import { createDomainTable } from "../../snapshot/domain-table.ts";
import { makeContent, makeRecipient, makeSession, makeTools } from "../../test/helpers/agent-facts.ts";
import type { SettingsOf } from "./agent.ts";
import { recipientFilter } from "./recipient-filter.ts";

type Settings = SettingsOf<"recipientFilter">;

const domains = createDomainTable([
  {
    name: "m/c",
    domains: ["c.example"],
    type: "Authoritative",
    recipients: {
      validation: "Reject",
      addresses: ["ann@c.example", "boss@c.example"],
      aliases: [],
      groups: [],
      forwards: [],
    },
  },
]);
const UNKNOWN = { action: "reject", reply: { code: 550, status: "5.1.1", text: "User unknown" } };

function build(settings: Partial<Settings> = {}) {
  const all: Settings = {
    blockedRecipients: ["Boss@c.example", "postmaster@c.example"],
    recipientValidationEnabled: true,
    harvestThreshold: 3,
    tarpitInterval: "5s",
    ...settings,
  };
  const on = recipientFilter.create(all, makeTools({ domains }));
  const session = makeSession();
  return (to: string, of = session) => on.onRcpt?.(makeContent({ session: of }), makeRecipient(to));
}

describe("onRcpt", () => {
  test.each([
    { name: "a listed recipient passes", to: "ann@c.example", want: undefined },
    { name: "its sub-address passes", to: "ann+x@c.example", want: undefined },
    { name: "an unknown recipient is refused", to: "zed@c.example", want: UNKNOWN },
    { name: "a blocked recipient looks unknown", to: "BOSS@c.example", want: UNKNOWN },
    { name: "postmaster passes although blocked", to: "postmaster@c.example", want: undefined },
    { name: "bare postmaster passes", to: "postmaster", want: undefined },
    { name: "a recipient outside is not its business", to: "zed@away.example", want: undefined },
  ])("$name", ({ to, want }) => {
    const verdict = build()(to);
    if (want === undefined) expect(verdict).toBeUndefined();
    else expect(verdict).toMatchObject({ ...want, delayMs: 0 });
  });

  test("without validation the unknown pass, the blocked do not", () => {
    const rcpt = build({ recipientValidationEnabled: false });
    expect(rcpt("zed@c.example")).toBeUndefined();
    expect(rcpt("boss@c.example")).toMatchObject(UNKNOWN);
  });
});

describe("directory harvest", () => {
  test("after the threshold each further recipient waits, known or not", () => {
    const rcpt = build();
    for (const name of ["x", "y", "z"])
      expect(rcpt(`${name}@c.example`)).toMatchObject({ ...UNKNOWN, delayMs: 0 });
    expect(rcpt("q@c.example")).toMatchObject({ ...UNKNOWN, delayMs: 5_000 });
    expect(rcpt("ann@c.example")).toEqual({ action: "tarpit", delayMs: 5_000 });
    expect(rcpt("boss@c.example")).toMatchObject({ ...UNKNOWN, delayMs: 5_000 });
  });

  test("known and blocked recipients do not count", () => {
    const rcpt = build({ harvestThreshold: 1 });
    rcpt("ann@c.example");
    rcpt("boss@c.example");
    expect(rcpt("ann@c.example")).toBeUndefined();
  });

  test("each session is counted for itself", () => {
    const rcpt = build({ harvestThreshold: 1 });
    rcpt("x@c.example");
    expect(rcpt("ann@c.example")).toMatchObject({ action: "tarpit" });
    expect(rcpt("ann@c.example", makeSession({ id: "other" }))).toBeUndefined();
  });
});
