/** Facts about where mail goes: domain types, aliases, groups, forwards, loops; address spaces, cost, name, size. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, startTestTransport, type TestTransport } from "../helpers/transport.ts";

const HEAD = "---\napiVersion: postroom.dev/v1alpha1\nkind:";
const [HUB_AND_DOOR = ""] = BASIC.split("---\napiVersion: postroom.dev/v1alpha1\nkind: AcceptedDomain");

const DOMAINS = `${HEAD} AcceptedDomain
metadata: {name: contoso}
spec:
  domains: [contoso.example, "*.contoso.example"]
  recipients:
    addresses: [ann@contoso.example, bob@contoso.example, kim@contoso.example]
    aliases: [{alias: info@contoso.example, address: ann@contoso.example}]
    groups:
      - {address: all@contoso.example, members: [info@contoso.example, bob@contoso.example, inner@contoso.example]}
      - {address: inner@contoso.example, members: [kim@contoso.example, all@contoso.example]}
      - {address: staff@contoso.example, members: [ann@contoso.example], requireSenderAuthentication: true}
    forwards:
      - {address: gone@contoso.example, forwardTo: [new@partner.example]}
      - {address: both@contoso.example, forwardTo: [new@partner.example], deliverToMailboxAndForward: true}
      - {address: ping@contoso.example, forwardTo: [pong@contoso.example]}
      - {address: pong@contoso.example, forwardTo: [ping@contoso.example]}
${HEAD} AcceptedDomain
metadata: {name: plant}
spec: {domains: [plant.example], type: InternalRelay}
${HEAD} AcceptedDomain
metadata: {name: partner}
spec: {domains: [partner.example], type: ExternalRelay}
`;
const drop = (name: string, spaces: string, more = "") =>
  `${HEAD} SendConnector\nmetadata: {name: ${name}}\nspec:\n  addressSpaces: ${spaces}\n  routing: {type: Drop, directory: ${name}}\n${more}`;
const CONNECTORS = [
  drop("internet", '[{domain: "*"}]'),
  drop("mailboxes", '[{domain: contoso.example}, {domain: "*.contoso.example"}]'),
  drop("lab", '[{domain: "*.lab.contoso.example"}]'),
  drop("dear", "[{domain: plant.example, cost: 20}]"),
  drop("cheap", "[{domain: plant.example, cost: 10}]"),
  drop("b-twin", "[{domain: partner.example}]"),
  drop("a-twin", "[{domain: partner.example}]"),
  drop("a-scoped", "[{domain: partner.example}]", "  transportRuleScoped: true\n"),
  drop("small", "[{domain: big.contoso.example}]", "  maxMessageSize: 2Ki\n"),
].join("");
const RULE = `${HEAD} TransportRule
metadata: {name: outside}
spec: {conditions: {sentToScope: NotInOrganization}, actions: {setHeader: [{name: X-Leaves, value: "yes"}]}}
`;

let transport: TestTransport;
beforeAll(async () => {
  transport = await startTestTransport({
    manifests: { "all.yaml": `${HUB_AND_DOOR}${DOMAINS}${CONNECTORS}${RULE}` },
  });
});
afterAll(() => transport.stop());

let sent = 0;
/** Sends and waits until it is settled; says which recipients each drop folder got. */
const send = async (to: readonly string[], body = "Hi.\r\n") => {
  sent += 1;
  const id = `<${sent}@fabrikam.example>`;
  const client = await openDialogue({ port: transport.port() });
  const answer = await client.send(
    "eve@fabrikam.example",
    to,
    `Message-ID: ${id}\r\nSubject: x\r\n\r\n${body}`,
  );
  client.close();
  expect(answer).toMatch(/^250/);
  const events = await eventually(async () => {
    const all = (await transport.events()).filter((event) => event.messageId === id);
    const ends = all.filter(({ event }) => event === "DELIVER" || event === "FAIL").length;
    const planned = all.filter(({ event }) => event === "TRANSFER").flatMap((event) => event.recipients);
    const failed = all.filter(({ event, source }) => event === "FAIL" && source === "ROUTING").length;
    return ends > 0 && ends === planned.length + failed ? all : undefined;
  });
  const got = events.filter(({ event }) => event === "DELIVER").map((e) => `${e.connector} ${e.recipients}`);
  const failed = events.filter(({ event }) => event === "FAIL").map((e) => `${e.status} ${e.recipients}`);
  return [...got.map((row) => row.replace("default/", "")), ...failed].sort();
};

describe("a recipient", () => {
  test.each([
    {
      name: "of an Authoritative domain",
      to: ["ann@contoso.example"],
      want: ["mailboxes ann@contoso.example"],
    },
    { name: "of a sub-domain", to: ["x@a.b.contoso.example"], want: ["mailboxes x@a.b.contoso.example"] },
    { name: "named by an alias", to: ["info@contoso.example"], want: ["mailboxes ann@contoso.example"] },
    {
      name: "of groups that hold each other, named twice",
      to: ["all@contoso.example", "info@contoso.example"],
      want: ["ann", "bob", "kim"].map((who) => `mailboxes ${who}@contoso.example`),
    },
    {
      name: "of a group for senders from inside",
      to: ["staff@contoso.example"],
      want: ["5.7.133 staff@contoso.example"],
    },
    { name: "forwarded", to: ["gone@contoso.example"], want: ["a-twin new@partner.example"] },
    {
      name: "forwarded, keeping a copy",
      to: ["both@contoso.example"],
      want: ["a-twin new@partner.example", "mailboxes both@contoso.example"],
    },
    { name: "forwarded in a circle", to: ["ping@contoso.example"], want: ["5.4.6 ping@contoso.example"] },
    { name: "<postmaster>", to: ["postmaster"], want: ["mailboxes postmaster@contoso.example"] },
    {
      name: "postmaster at our own address literal",
      to: ["postmaster@[127.0.0.1]"],
      want: ["mailboxes postmaster@contoso.example"],
    },
  ])("$name arrives or fails as it should", async ({ to, want }) => {
    expect(await send(to)).toEqual(want);
  });

  test("at our own address literal other than postmaster is refused", async () => {
    const client = await openDialogue({ port: transport.port() });
    expect(await client.send("eve@fabrikam.example", ["ann@[127.0.0.1]"], "x")).toMatch(/^550 5\.7\.1/);
    client.close();
  });
});

describe("a route", () => {
  test.each([
    { name: "the longest address space wins", to: "x@lab.contoso.example", want: "lab" },
    { name: "a deeper one counts as the same", to: "x@deep.lab.contoso.example", want: "lab" },
    { name: "then the lowest cost", to: "x@plant.example", want: "cheap" },
    { name: "then the name; one for rules only is no choice", to: "x@partner.example", want: "a-twin" },
    {
      name: "a small message takes the connector for small ones",
      to: "x@big.contoso.example",
      want: "small",
    },
  ])("$name", async ({ to, want }) => {
    expect(await send([to])).toEqual([`${want} ${to}`]);
  });

  test("a message too big for the best connector takes the next one", async () => {
    const to = "y@big.contoso.example";
    expect(await send([to], "Long line.\r\n".repeat(300))).toEqual([`mailboxes ${to}`]);
  });

  test("InternalRelay counts as inside, ExternalRelay as outside", async () => {
    await send(["scope@plant.example", "scope@partner.example"]);
    const has = async (folder: string) =>
      (await transport.dropped(folder)).find((text) => text.includes("<scope@"))?.includes("X-Leaves: yes");
    expect(await has("cheap")).toBe(false);
    expect(await has("a-twin")).toBe(true);
  });

  test("many recipients of one next hop are one copy", async () => {
    const before = (await transport.dropped("mailboxes")).length;
    await send(["ann@contoso.example", "bob@contoso.example", "z@sub.contoso.example"]);
    expect((await transport.dropped("mailboxes")).length).toBe(before + 1);
  });
});
