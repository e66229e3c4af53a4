import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Address, addressKey, formatAddress, parseAddress } from "../../mail/address.ts";
import type { Notify, Recipient } from "../../mail/message.ts";
import { createDomainTable } from "../../snapshot/domain-table.ts";
import type { AcceptedDomainEntry } from "../../snapshot/schema.ts";
import { type Resolution, resolveRecipients } from "./mod.ts";

type Recipients = AcceptedDomainEntry["recipients"];

const at = (text: string): Address => parseAddress(text)!;
const local = (name: string) => (name.includes("@") ? name : `${name}@c.example`);

function to(text: string, options: { notify?: readonly Notify[]; orcpt?: string } = {}): Recipient {
  return { address: at(local(text)), original: at(local(text)), ...options };
}

function group(address: string, members: readonly string[], requireSenderAuthentication = false) {
  return { address: local(address), members: members.map(local), requireSenderAuthentication };
}

function forward(address: string, forwardTo: readonly string[], deliverToMailboxAndForward = false) {
  return { address: local(address), forwardTo: forwardTo.map(local), deliverToMailboxAndForward };
}

function tableOf(recipients: Partial<Recipients>) {
  const empty: Recipients = { validation: "Reject", addresses: [], aliases: [], groups: [], forwards: [] };
  return createDomainTable([
    { name: "m/c", domains: ["c.example"], type: "Authoritative", recipients: { ...empty, ...recipients } },
    { name: "m/r", domains: ["r.example"], type: "InternalRelay", recipients: empty },
    {
      name: "m/open",
      domains: ["open.example"],
      type: "Authoritative",
      recipients: { ...empty, validation: "None" },
    },
  ]);
}

const domains = tableOf({
  addresses: ["ann", "bob", "cid", "kept", "k1", "k2"].map(local),
  aliases: [
    { alias: local("a1"), address: local("ann") },
    { alias: local("a2"), address: local("a1") },
    { alias: local("to-team"), address: local("team") },
    { alias: local("gone"), address: local("nobody") },
    { alias: local("abroad"), address: "x@away.example" },
    { alias: local("self"), address: local("self") },
    { alias: local("ping"), address: local("pong") },
    { alias: local("pong"), address: local("ping") },
  ],
  groups: [
    group("team", ["ann", "bob"]),
    group("nested", ["team", "cid", "ann"]),
    group("private", ["ann"], true),
    group("holds-private", ["private", "bob"]),
    group("empty", []),
    group("holds-empty", ["empty", "ann"]),
    group("round", ["round", "bob"]),
    group("ring", ["ring+x"]),
    group("bad", ["nobody", "ann"]),
  ],
  forwards: [
    forward("kept", ["k@away.example"], true),
    forward("moved", ["m@away.example"]),
    forward("both", ["ann", "bob"]),
    forward("k1", ["k2"], true),
    forward("k2", ["k1"], true),
    forward("m1", ["m2"]),
    forward("m2", ["m1"]),
    forward("half", ["kept2"]),
    forward("kept2", ["half"], true),
  ],
});

function resolve(
  recipients: readonly Recipient[],
  options: Partial<Parameters<typeof resolveRecipients>[1]> = {},
) {
  return resolveRecipients(recipients, { domains, role: "Hub", senderIsInternal: false, ...options });
}

const short = ({ localPart, domain }: Address) =>
  domain === "c.example" ? localPart : `${localPart}@${domain}`;
const goesTo = ({ recipients }: Resolution) => recipients.map(({ address }) => short(address));
const failures = ({ failed }: Resolution) =>
  failed.map(({ recipient, status }) => `${short(recipient.address)} ${status}`);

describe("resolveRecipients()", () => {
  test.each([
    { name: "a mailbox goes to itself", from: ["ann"], want: ["ann"] },
    { name: "an alias goes to its target", from: ["a1"], want: ["ann"] },
    { name: "an alias of an alias goes to the end", from: ["a2"], want: ["ann"] },
    { name: "an alias may lead outside", from: ["abroad"], want: ["x@away.example"] },
    { name: "a group goes to its members", from: ["team"], want: ["ann", "bob"] },
    { name: "an alias of a group goes to its members", from: ["to-team"], want: ["ann", "bob"] },
    { name: "a nested group names a member once", from: ["nested"], want: ["ann", "bob", "cid"] },
    { name: "a forward replaces the mailbox", from: ["moved"], want: ["m@away.example"] },
    { name: "a forward may keep the mailbox", from: ["kept"], want: ["kept", "k@away.example"] },
    { name: "a sub-address keeps its tag", from: ["ann+news"], want: ["ann+news"] },
    { name: "a sub-address of a group is the group", from: ["team+news"], want: ["ann", "bob"] },
    { name: "outside stays", from: ["x@away.example"], want: ["x@away.example"] },
    { name: "a relay domain takes everybody", from: ["x@r.example"], want: ["x@r.example"] },
    {
      name: "a domain without validation takes everybody",
      from: ["x@open.example"],
      want: ["x@open.example"],
    },
    { name: "the same address twice is one", from: ["ann", "ANN"], want: ["ann"] },
    { name: "an alias and its target are one", from: ["a1", "ann", "team"], want: ["ann", "bob"] },
    { name: "a group that holds itself delivers once", from: ["round"], want: ["bob"] },
    { name: "two that forward to each other deliver once each", from: ["k1"], want: ["k1", "k2"] },
    { name: "a loop with one mailbox in it delivers there", from: ["half"], want: ["kept2"] },
    { name: "an empty group in a group is no failure", from: ["holds-empty"], want: ["ann"] },
  ])("$name", ({ from, want }) => {
    const resolution = resolve(from.map((text) => to(text)));
    expect(goesTo(resolution)).toEqual(want);
    expect(resolution.failed).toEqual([]);
  });

  test.each([
    { name: "an unknown recipient fails 5.1.1", from: ["nobody"], want: ["nobody 5.1.1"], reach: [] },
    {
      name: "an unknown recipient given twice fails once",
      from: ["nobody", "NOBODY"],
      want: ["nobody 5.1.1"],
      reach: [],
    },
    { name: "an alias to nobody fails at its target", from: ["gone"], want: ["nobody 5.1.1"], reach: [] },
    {
      name: "an unknown member fails, the others get it",
      from: ["bad"],
      want: ["nobody 5.1.1"],
      reach: ["ann"],
    },
    { name: "an alias of itself fails 5.4.6", from: ["self"], want: ["self 5.4.6"], reach: [] },
    { name: "a ring of aliases fails 5.4.6", from: ["ping"], want: ["ping 5.4.6"], reach: [] },
    {
      name: "both of a ring fail, each for itself",
      from: ["ping", "pong"],
      want: ["ping 5.4.6", "pong 5.4.6"],
      reach: [],
    },
    { name: "a ring of forwards fails 5.4.6", from: ["m1"], want: ["m1 5.4.6"], reach: [] },
    {
      name: "a group that is its own sub-address fails 5.4.6",
      from: ["ring"],
      want: ["ring 5.4.6"],
      reach: [],
    },
    { name: "an empty group fails 5.2.4", from: ["empty"], want: ["empty 5.2.4"], reach: [] },
    {
      name: "two addresses of an empty group fail each",
      from: ["empty", "empty+x"],
      want: ["empty 5.2.4", "empty+x 5.2.4"],
      reach: [],
    },
    {
      name: "a stranger may not write to a private group",
      from: ["private"],
      want: ["private 5.7.133"],
      reach: [],
    },
    { name: "nor through another group", from: ["holds-private"], want: ["private 5.7.133"], reach: ["bob"] },
  ])("$name", ({ from, want, reach }) => {
    const resolution = resolve(from.map((text) => to(text)));
    expect(failures(resolution)).toEqual(want);
    expect(goesTo(resolution)).toEqual(reach);
  });

  test("an internal sender may write to a private group", () => {
    expect(goesTo(resolve([to("private")], { senderIsInternal: true }))).toEqual(["ann"]);
  });

  test.each([
    { name: "Edge does not expand a group", from: "team", want: ["team"], failed: [] },
    { name: "Edge does not follow an alias", from: "a1", want: ["a1"], failed: [] },
    { name: "Edge refuses the unknown", from: "nobody", want: [], failed: ["nobody 5.1.1"] },
  ])("$name", ({ from, want, failed }) => {
    const resolution = resolve([to(from)], { role: "Edge" });
    expect(goesTo(resolution)).toEqual(want);
    expect(failures(resolution)).toEqual(failed);
  });

  test.each([{ role: "Hub" as const }, { role: "Edge" as const }])(
    "<postmaster> without a domain is rewritten on $role",
    ({ role }) => {
      const bare = { localPart: "postmaster", domain: "" };
      const resolution = resolve([{ address: bare, original: bare }], { role });
      expect(goesTo(resolution)).toEqual(["postmaster"]);
    },
  );

  test("<postmaster> fails where no domain is Authoritative", () => {
    const bare = { localPart: "postmaster", domain: "" };
    const resolution = resolve([{ address: bare, original: bare }], { domains: createDomainTable([]) });
    expect(resolution.failed).toMatchObject([{ status: "5.1.1" }]);
  });
});

test("a mailbox that no longer keeps a copy is forwarded anew", () => {
  const kept = resolve([to("kept")]).recipients.filter(({ forwarded }) => forwarded);
  expect(kept.map(({ address }) => short(address))).toEqual(["kept"]);
  const moved = tableOf({ forwards: [forward("kept", ["new@away.example"])] });
  expect(goesTo(resolve(kept, { domains: moved }))).toEqual(["new@away.example"]);
});

describe("NOTIFY and ORCPT", () => {
  const S: readonly Notify[] = ["SUCCESS", "FAILURE"];
  test.each([
    { name: "a mailbox keeps NOTIFY", from: to("ann", { notify: S }), want: { ann: S }, expanded: [] },
    { name: "an alias keeps NOTIFY", from: to("a2", { notify: S }), want: { ann: S }, expanded: [] },
    {
      name: "a single forward keeps NOTIFY",
      from: to("moved", { notify: S }),
      want: { "m@away.example": S },
      expanded: [],
    },
    {
      name: "a group ends SUCCESS",
      from: to("team", { notify: S }),
      want: { ann: ["FAILURE"], bob: ["FAILURE"] },
      expanded: ["team"],
    },
    {
      name: "an alias of a group ends SUCCESS at the group",
      from: to("to-team", { notify: S }),
      want: { ann: ["FAILURE"], bob: ["FAILURE"] },
      expanded: ["team"],
    },
    {
      name: "a group ends SUCCESS once, however nested",
      from: to("nested", { notify: S }),
      want: { ann: ["FAILURE"], bob: ["FAILURE"], cid: ["FAILURE"] },
      expanded: ["nested"],
    },
    {
      name: "SUCCESS alone becomes NEVER for members",
      from: to("team", { notify: ["SUCCESS"] }),
      want: { ann: ["NEVER"], bob: ["NEVER"] },
      expanded: ["team"],
    },
    {
      name: "without SUCCESS nothing is expanded",
      from: to("team", { notify: ["DELAY"] }),
      want: { ann: ["DELAY"], bob: ["DELAY"] },
      expanded: [],
    },
    {
      name: "without NOTIFY members have none",
      from: to("team"),
      want: { ann: undefined, bob: undefined },
      expanded: [],
    },
    {
      name: "a kept mailbox reports SUCCESS, the forward does not",
      from: to("kept", { notify: S }),
      want: { kept: S, "k@away.example": ["FAILURE"] },
      expanded: [],
    },
    {
      name: "a forward to several ends SUCCESS",
      from: to("both", { notify: S }),
      want: { ann: ["FAILURE"], bob: ["FAILURE"] },
      expanded: ["both"],
    },
  ])("$name", ({ from, want, expanded }) => {
    const resolution = resolve([from]);
    expect(
      Object.fromEntries(resolution.recipients.map(({ address, notify }) => [short(address), notify])),
    ).toEqual(want);
    expect(resolution.expanded.map(({ address }) => short(address))).toEqual(expanded);
  });

  test.each([
    {
      name: "SUCCESS of the direct address is kept",
      a: "ann",
      an: S,
      b: "team",
      bn: undefined,
      want: ["SUCCESS", "FAILURE", "DELAY"],
    },
    { name: "NEVER gives way", a: "ann", an: ["NEVER"], b: "a1", bn: ["DELAY"], want: ["DELAY"] },
    { name: "NEVER twice stays", a: "ann", an: ["NEVER"], b: "a1", bn: ["NEVER"], want: ["NEVER"] },
    { name: "none and NEVER is none", a: "ann", an: undefined, b: "a1", bn: ["NEVER"], want: undefined },
    { name: "none twice is none", a: "ann", an: undefined, b: "a1", bn: undefined, want: undefined },
  ] as const)("duplicates: $name", ({ a, an, b, bn, want }) => {
    for (const pair of [
      [to(a, an && { notify: an }), to(b, bn && { notify: bn })],
      [to(b, bn && { notify: bn }), to(a, an && { notify: an })],
    ]) {
      const found = resolve(pair).recipients.find(({ address }) => address.localPart === "ann");
      expect(found?.notify).toEqual(want);
    }
  });

  test.each([
    { name: "a plain recipient gets no ORCPT", from: to("ann"), want: undefined },
    {
      name: "a given ORCPT is kept through an alias",
      from: to("a2", { orcpt: "rfc822;x@y.example" }),
      want: "rfc822;x@y.example",
    },
    { name: "an alias sets ORCPT to the first address", from: to("a2"), want: "rfc822;a2@c.example" },
    { name: "a group sets ORCPT to the group", from: to("to-team"), want: "rfc822;to-team@c.example" },
  ])("$name", ({ from, want }) => {
    expect(resolve([from]).recipients[0]?.orcpt).toBe(want);
  });

  test("ORCPT of a UTF-8 address has its own type", () => {
    const utf8 = tableOf({ aliases: [{ alias: "jörg@c.example", address: "x@away.example" }] });
    expect(resolve([to("jörg@c.example")], { domains: utf8 }).recipients[0]?.orcpt).toBe(
      "utf-8;jörg@c.example",
    );
  });

  test("original is the alias as given, and the member where a group named it", () => {
    expect(resolve([to("a2")]).recipients.map(({ original }) => short(original))).toEqual(["a2"]);
    expect(resolve([to("team")]).recipients.map(({ original }) => short(original))).toEqual(["ann", "bob"]);
  });
});

describe("steps", () => {
  test.each([
    {
      name: "each stage tells",
      from: ["a2"],
      want: ["alias a2 -> a1", "alias a1 -> ann", "mailbox ann -> "],
    },
    {
      name: "a loop tells",
      from: ["round"],
      want: ["group round -> round,bob", "loop round -> ", "mailbox bob -> "],
    },
    {
      name: "a duplicate tells",
      from: ["ann", "a1"],
      want: ["mailbox ann -> ", "alias a1 -> ann", "mailbox ann -> ", "duplicate a1 -> ann"],
    },
    { name: "a relay tells", from: ["x@r.example"], want: ["relay x@r.example -> "] },
    { name: "the outside tells", from: ["x@away.example"], want: ["outside x@away.example -> "] },
    { name: "a refusal tells", from: ["private"], want: ["refused private -> "] },
  ])("$name", ({ from, want }) => {
    const { steps } = resolve(from.map((text) => to(text)));
    expect(steps.map(({ kind, from: at, to: next }) => `${kind} ${short(at)} -> ${next.map(short)}`)).toEqual(
      want,
    );
    expect(steps.every(({ reason }) => reason.length > 0)).toBe(true);
  });

  test("a step names its accepted domain", () => {
    expect(
      resolve([to("ann"), to("x@r.example"), to("x@away.example")]).steps.map((step) => step.acceptedDomain),
    ).toEqual(["m/c", "m/r", ""]);
  });
});

describe("limits", () => {
  const names = (count: number, prefix = "u") =>
    Array.from({ length: count }, (_, index) => `${prefix}${index}@away.example`);

  test("a group as large as the limit expands", () => {
    const table = tableOf({ groups: [group("all", names(50))] });
    expect(resolve([to("all")], { domains: table, maxExpansion: 50 }).recipients).toHaveLength(50);
  });

  test("a group larger than the limit fails 5.5.3 as a whole, the others get their mail", () => {
    const table = tableOf({ addresses: [local("ann")], groups: [group("all", names(51))] });
    const resolution = resolve([to("all", { notify: ["SUCCESS"] }), to("ann")], {
      domains: table,
      maxExpansion: 50,
    });
    expect(failures(resolution)).toEqual(["all 5.5.3"]);
    expect(goesTo(resolution)).toEqual(["ann"]);
    expect(resolution.expanded).toEqual([]);
  });

  test("200 sub-addresses of one large group cost one expansion", () => {
    const table = tableOf({ groups: [group("all", names(10_000))] });
    const many = Array.from({ length: 200 }, (_, index) => to(`all+${index}`));
    const resolution = resolve(many, { domains: table });
    expect(resolution.recipients).toHaveLength(10_000);
    expect(resolution.steps.length).toBeLessThan(10_300);
  });

  test("200 groups that hold one large group cost one expansion, and each still counts as delivered", () => {
    const groups = [
      group("all", names(10_000)),
      ...Array.from({ length: 200 }, (_, index) => group(`g${index}`, ["all"])),
    ];
    const many = Array.from({ length: 200 }, (_, index) => to(`g${index}`, { notify: ["SUCCESS"] }));
    const resolution = resolve(many, { domains: tableOf({ groups }) });
    expect(resolution.recipients).toHaveLength(10_000);
    expect(resolution.expanded).toHaveLength(200);
    expect(resolution.failed).toEqual([]);
    expect(resolution.steps.length).toBeLessThan(11_000);
  });

  test("a ring that another recipient has met still fails for itself", () => {
    const groups = [group("team", ["ann", "ring"]), group("ring", ["ring2"]), group("ring2", ["ring"])];
    const table = tableOf({ addresses: [local("ann")], groups });
    const resolution = resolve([to("team"), to("ring"), to("ring2")], { domains: table });
    expect(goesTo(resolution)).toEqual(["ann"]);
    expect(failures(resolution)).toEqual(["ring 5.4.6", "ring2 5.4.6"]);
  });

  test("a message as a whole has a bound: what is beyond it fails 5.5.3, plain recipients never do", () => {
    const groups = Array.from({ length: 30 }, (_, index) => group(`g${index}`, names(100, `m${index}-`)));
    const table = tableOf({ addresses: [local("ann")], groups });
    const input = [...groups.map(({ address }) => to(address)), to("ann"), to("x@away.example")];
    const resolution = resolve(input, { domains: table, maxExpansion: 100 });
    expect(resolution.recipients).toHaveLength(20 * 100 + 2);
    expect(failures(resolution)).toEqual(Array.from({ length: 10 }, (_, index) => `g${20 + index} 5.5.3`));
    expect(goesTo(resolution)).toEqual(expect.arrayContaining(["ann", "x@away.example"]));
  });

  test("a chain of 100,000 aliases fails and does not fell the process", () => {
    const aliases = Array.from({ length: 100_000 }, (_, index) => ({
      alias: local(`c${index}`),
      address: local(`c${index + 1}`),
    }));
    const resolution = resolve([to("c0")], { domains: tableOf({ aliases }) });
    expect(resolution.failed).toMatchObject([{ status: "5.4.6" }]);
  });

  test("groups that hold each other many times over end quickly", () => {
    // 2^40 paths, 40 groups.
    const groups = Array.from({ length: 40 }, (_, index) =>
      group(`g${index}`, [`g${index + 1}`, `g${index + 1}+again`]),
    );
    groups.push(group("g40", ["x@away.example"]));
    expect(goesTo(resolve([to("g0")], { domains: tableOf({ groups }) }))).toEqual(["x@away.example"]);
  });

  test("groups that repeat their members without end are cut off", () => {
    const groups = [
      group(
        "all",
        Array.from({ length: 2_000 }, () => "ann"),
      ),
    ];
    const resolution = resolve([to("all")], {
      domains: tableOf({ addresses: [local("ann")], groups }),
      maxExpansion: 100,
    });
    expect(failures(resolution)).toEqual(["all 5.5.3"]);
  });
});

describe("on any graph", () => {
  const statuses = ({ failed }: Resolution) =>
    failed.map(({ recipient, status }) => `${addressKey(recipient.address)} ${status}`);
  const name = fc.constantFrom("n0", "n1", "n2", "n3", "n4", "n5", "n6", "out@away.example");
  const inner = fc.constantFrom("n0", "n1", "n2", "n3", "n4", "n5", "n6");
  const graph = fc.record({
    addresses: fc.array(inner.map(local), { maxLength: 3 }),
    aliases: fc.array(fc.record({ alias: inner.map(local), address: name.map(local) }), { maxLength: 4 }),
    groups: fc.array(
      fc.tuple(inner, fc.array(name, { maxLength: 4 }), fc.boolean()).map((parts) => group(...parts)),
      { maxLength: 4 },
    ),
    forwards: fc.array(
      fc
        .tuple(inner, fc.array(name, { minLength: 1, maxLength: 3 }), fc.boolean())
        .map((parts) => forward(...parts)),
      { maxLength: 4 },
    ),
  });
  const notify = fc.constantFrom<readonly Notify[] | undefined>(
    undefined,
    ["NEVER"],
    ["SUCCESS"],
    ["SUCCESS", "FAILURE"],
    ["DELAY"],
  );
  const given = fc.array(fc.tuple(name, notify), { minLength: 1, maxLength: 4 });

  test("every recipient ends as a recipient or a failure, none twice, and none that is not reachable", () => {
    fc.assert(
      fc.property(graph, given, fc.boolean(), (recipients, list, senderIsInternal) => {
        const table = tableOf(recipients);
        const input = list.map(([text, wish]) => to(text, wish && { notify: wish }));
        const all = resolve(input, { domains: table, senderIsInternal });
        const keys = all.recipients.map(({ address }) => addressKey(address));
        expect(new Set(keys).size).toBe(keys.length);
        for (const one of input) {
          const alone = resolve([one], { domains: table, senderIsInternal });
          expect(alone.recipients.length + alone.failed.length).toBeGreaterThan(0);
          // Nobody to reach: it fails in company as it fails alone.
          if (alone.recipients.length === 0)
            expect(statuses(all)).toEqual(expect.arrayContaining(statuses(alone)));
          for (const { address } of alone.recipients) expect(keys).toContain(addressKey(address));
        }
        for (const { address } of all.recipients) {
          expect(["known", "outside", "unlisted"]).toContain(table.classify(address));
          const kind = table.lookup(address)?.kind;
          expect([undefined, "mailbox", "forward"], formatAddress(address)).toContain(kind);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("resolving anew what was resolved changes nothing: no forward gets the message twice", () => {
    fc.assert(
      fc.property(graph, given, fc.boolean(), (recipients, list, senderIsInternal) => {
        const table = tableOf(recipients);
        const input = list.map(([text, wish]) => to(text, wish && { notify: wish }));
        const first = resolve(input, { domains: table, senderIsInternal });
        for (const part of [first.recipients, ...first.recipients.map((recipient) => [recipient])]) {
          const again = resolve(part, { domains: table, senderIsInternal });
          expect(again.recipients).toEqual(part);
          expect([again.failed, again.expanded]).toEqual([[], []]);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("the order of recipients does not change who gets the message", () => {
    fc.assert(
      fc.property(graph, given, (recipients, list) => {
        const table = tableOf(recipients);
        const input = list.map(([text, wish]) => to(text, wish && { notify: wish }));
        const sorted = (resolution: Resolution) =>
          resolution.recipients.map(({ address, notify: wish }) => `${addressKey(address)} ${wish}`).sort();
        expect(sorted(resolve([...input].reverse(), { domains: table }))).toEqual(
          sorted(resolve(input, { domains: table })),
        );
      }),
      { numRuns: 300 },
    );
  });
});
