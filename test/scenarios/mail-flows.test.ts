/** Facts about mail on its way through a whole transport: accepted, judged, routed, delivered. */
import { join } from "node:path";
import pino from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { openAdmin } from "../../transport/queue/mod.ts";
import { eventually } from "../helpers/eventually.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, OUTSIDE, startTestTransport, type TestTransport } from "../helpers/transport.ts";

const MESSAGE = "From: eve@fabrikam.example\r\nTo: ann@contoso.example\r\nSubject: hello\r\n\r\nHi Ann.\r\n";

let transport: TestTransport | undefined;
afterEach(async () => {
  await transport?.stop();
  transport = undefined;
});

const start = async (manifests: Readonly<Record<string, string>>) => {
  transport = await startTestTransport({ manifests });
  return transport;
};

const sendOne = async (
  to: readonly string[],
  { from = "eve@fabrikam.example", content = MESSAGE, port = transport?.port() ?? 0 } = {},
) => {
  const client = await openDialogue({ port });
  const answer = await client.send(from, to, content);
  client.close();
  return answer;
};

describe("a message", () => {
  test("for an accepted domain is answered 250 2.6.0 and reaches its drop folder with a Received field", async () => {
    const t = await start({ "all.yaml": BASIC });
    expect(await sendOne(["ann@contoso.example"])).toMatch(
      /^250 2\.6\.0 \[InternalId=\w+\] Queued mail for delivery$/,
    );
    const [content] = await eventually(async () => {
      const found = await t.dropped("mailboxes");
      return found.length > 0 ? found : undefined;
    });
    expect(content).toMatch(/Received: from client\.example \(.*127\.0\.0\.1.*\)\s+by mx\.contoso\.example/s);
    expect(content).toContain("X-Receiver: <ann@contoso.example>");
    expect(content).toContain("Hi Ann.");
  });

  test("keeps every octet of a body with dots, long lines of 998 and a missing final line end", async () => {
    const t = await start({ "all.yaml": BASIC });
    const body = `.\r\n..\r\n.a\r\n${"x".repeat(998)}\r\n\r\nlast`;
    await sendOne(["ann@contoso.example"], { content: `Subject: dots\r\n\r\n${body}` });
    const [content = ""] = await eventually(async () => {
      const found = await t.dropped("mailboxes");
      return found.length > 0 ? found : undefined;
    });
    expect(content.slice(content.indexOf("\r\n\r\n") + 4)).toBe(`${body}\r\n`);
  });

  test("of 5 MiB goes through a body file and comes out the same", async () => {
    const t = await start({ "all.yaml": BASIC });
    const line = `${"0123456789".repeat(7)}\r\n`;
    const body = line.repeat(70_000);
    await sendOne(["ann@contoso.example"], { content: `Subject: big\r\n\r\n${body}` });
    const [content = ""] = await eventually(async () => {
      const found = await t.dropped("mailboxes");
      return found.length > 0 ? found : undefined;
    });
    expect(content.slice(content.indexOf("\r\n\r\n") + 4)).toBe(body);
  });

  test("for a stranger's domain is refused 550 5.7.1: no open relay", async () => {
    await start({ "all.yaml": `${BASIC}---${OUTSIDE}` });
    expect(await sendOne(["bob@elsewhere.example"])).toMatch(/^550 5\.7\.1/);
  });

  test("for two next hops is delivered once to each, and traced under one network message id", async () => {
    const partner = BASIC.replace(
      "domains: [contoso.example]",
      "domains: [contoso.example, partner.example]",
    );
    const t = await start({ "all.yaml": `${partner}---${OUTSIDE}` });
    await sendOne(["ann@contoso.example", "pat@partner.example"]);
    await eventually(
      async () => (await t.dropped("mailboxes")).length === 1 && (await t.dropped("outside")).length === 1,
    );
    const events = await eventually(async () => {
      const found = await t.events();
      return found.filter(({ event }) => event === "DELIVER").length === 2 ? found : undefined;
    });
    expect(new Set(events.map(({ networkMessageId }) => networkMessageId)).size).toBe(1);
    expect(events.map(({ event }) => event)).toContain("RECEIVE");
  });

  test("without a route waits, and leaves by itself once a send connector appears", async () => {
    const t = await start({
      "all.yaml": BASIC.replace("[contoso.example]}", "[contoso.example, lost.example]}"),
    });
    expect(await sendOne(["ann@lost.example"])).toMatch(/^250/);
    await eventually(async () =>
      (await t.events()).some(({ event, queue }) => event === "TRANSFER" && queue === "Unreachable"),
    );
    await t.change("outside.yaml", OUTSIDE);
    await eventually(async () => (await t.dropped("outside")).length === 1);
  });

  test("that was accepted is still there after a restart", async () => {
    const t = await start({
      "all.yaml": BASIC.replace("[contoso.example]}", "[contoso.example, lost.example]}"),
    });
    for (let n = 0; n < 5; n += 1) await sendOne(["ann@lost.example"]);
    await t.restart();
    await t.change("outside.yaml", OUTSIDE);
    await eventually(async () => (await t.dropped("outside")).length === 5);
  });
});

describe("recipients", () => {
  const RECIPIENTS = `
apiVersion: postroom.dev/v1alpha1
kind: AcceptedDomain
metadata: {name: contoso}
spec:
  domains: [contoso.example]
  recipients:
    validation: Reject
    addresses: [ann@contoso.example, bob@contoso.example]
    aliases: [{alias: info@contoso.example, address: ann@contoso.example}]
    groups: [{address: all@contoso.example, members: [ann@contoso.example, bob@contoso.example, info@contoso.example]}]
`;
  const FILTER = BASIC.replace(
    "{hostname: mx.contoso.example}",
    "{hostname: mx.contoso.example, agents: [{recipientFilter: {}}]}",
  ).replace(
    /---\napiVersion: postroom.dev\/v1alpha1\nkind: AcceptedDomain[\s\S]*?spec: \{domains: \[contoso.example\]\}\n/,
    "",
  );

  test("that do not exist are refused 550 5.1.1 at RCPT", async () => {
    await start({ "all.yaml": FILTER, "domain.yaml": RECIPIENTS });
    expect(await sendOne(["nobody@contoso.example"])).toMatch(/^550 5\.1\.1/);
  });

  test("of a group get one copy each, however often they are named", async () => {
    const t = await start({ "all.yaml": FILTER, "domain.yaml": RECIPIENTS });
    expect(await sendOne(["all@contoso.example", "info@contoso.example"])).toMatch(/^250/);
    const [content = ""] = await eventually(async () => {
      const found = await t.dropped("mailboxes");
      return found.length > 0 ? found : undefined;
    });
    expect(content.match(/X-Receiver: <[^>]*>/g)?.sort()).toEqual([
      "X-Receiver: <ann@contoso.example>",
      "X-Receiver: <bob@contoso.example>",
    ]);
  });
});

describe("transport rules", () => {
  const rule = (name: string, spec: string) =>
    `apiVersion: postroom.dev/v1alpha1\nkind: TransportRule\nmetadata: {name: ${name}}\nspec:\n${spec}\n`;
  const PARTNER = BASIC.replace(
    "domains: [contoso.example]",
    "domains: [contoso.example, partner.example]",
  ).replace(
    "  tarpitInterval: 0s",
    "  tarpitInterval: 0s\n  permissionGroups: [AnonymousUsers, Relay]\n  remoteIPRanges: [127.0.0.1]",
  );

  test("split the copies: a disclaimer goes outside only", async () => {
    const t = await start({
      "all.yaml": `${PARTNER}---${OUTSIDE}`,
      "rule.yaml": rule(
        "disclaimer",
        "  conditions: {sentToScope: NotInOrganization}\n  actions: {applyHtmlDisclaimer: {html: '<p>Contoso Ltd</p>'}}",
      ),
    });
    await sendOne(["ann@contoso.example", "eve@elsewhere.example"]);
    const [outside = ""] = await eventually(async () => {
      const found = await t.dropped("outside");
      return found.length > 0 ? found : undefined;
    });
    const [inside = ""] = await eventually(async () => {
      const found = await t.dropped("mailboxes");
      return found.length > 0 ? found : undefined;
    });
    expect(outside).toContain("Contoso Ltd");
    expect(inside).not.toContain("Contoso Ltd");
  });

  test("reject with a DSN to the sender, and never to the null reverse-path", async () => {
    const t = await start({
      "all.yaml": `${PARTNER}---${OUTSIDE}`,
      "rule.yaml": rule(
        "no",
        "  conditions: {subjectContainsWords: [hello]}\n  actions: {rejectMessage: {reasonText: No greetings}}",
      ),
    });
    await sendOne(["ann@contoso.example"]);
    const [report = ""] = await eventually(async () => {
      const found = await t.dropped("outside");
      return found.length > 0 ? found : undefined;
    });
    expect(report).toContain("X-Receiver: <eve@fabrikam.example>");
    expect(report).toMatch(/Content-Type: multipart\/report; *\r?\n?\s*report-type=delivery-status/i);
    expect(report).toMatch(/Action: failed/i);
    expect(report).toMatch(/Status: 5\.7\.1/);
    await sendOne(["ann@contoso.example"], { from: "" });
    await eventually(async () => (await t.events()).filter(({ event }) => event === "FAIL").length === 2);
    expect((await t.dropped("outside")).length).toBe(1);
  });

  test("in Audit are traced and do nothing", async () => {
    const t = await start({
      "all.yaml": BASIC,
      "rule.yaml": rule(
        "audit",
        "  mode: Audit\n  conditions: {subjectContainsWords: [hello]}\n  actions: {deleteMessage: true}",
      ),
    });
    await sendOne(["ann@contoso.example"]);
    await eventually(async () => (await t.dropped("mailboxes")).length === 1);
    const events = await eventually(async () => {
      const found = (await t.events()).filter(({ event }) => event === "AGENTINFO");
      return found.length > 0 ? found : undefined;
    });
    expect(events[0]).toMatchObject({ rule: "default/audit", mode: "Audit", outcome: "matched" });
  });

  test("quarantine a message; an administrator releases it past the rules", async () => {
    const t = await start({
      "all.yaml": BASIC,
      "rule.yaml": rule(
        "keep",
        "  conditions: {subjectContainsWords: [hello]}\n  actions: {quarantine: true}",
      ),
    });
    await sendOne(["ann@contoso.example"]);
    await eventually(async () => (await t.events()).some(({ queue }) => queue === "Quarantine"));
    const admin = openAdmin(join(t.state, "queue"), { clock: systemClock, log: pino({ level: "silent" }) });
    const released = await eventually(() => admin.retry({ queue: "Quarantine" }, { resubmit: true }));
    admin.close();
    expect(released).toBe(1);
    await eventually(async () => (await t.dropped("mailboxes")).length === 1);
  });
});
