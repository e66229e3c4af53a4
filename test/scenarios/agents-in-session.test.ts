/** Facts about the agents of the SMTP session: what each refuses, strips or keeps, in which order, and what a failing one does. */
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { reply } from "../../mail/reply.ts";
import type { Agent, AgentHandlers } from "../../transport/agents/mod.ts";
import { systemResolver } from "../../transport/delivery/mod.ts";
import { type DnsServer, startDns } from "../helpers/dns-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { type Dialogue, type DialogueOptions, openDialogue } from "../helpers/smtp-dialogue.ts";
import {
  BASIC,
  startTestTransport,
  type TestTransport,
  type TestTransportOptions,
} from "../helpers/transport.ts";

const SIMPLE = "Subject: x\r\n\r\nx\r\n";
const EVE = "eve@fabrikam.example";
const ANN = ["ann@contoso.example"];

let transport: TestTransport | undefined;
let dns: DnsServer | undefined;
const clients: Dialogue[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await transport?.stop();
  await dns?.close();
  transport = undefined;
  dns = undefined;
});

interface Setup extends Partial<TestTransportOptions> {
  readonly connector?: string;
  readonly domain?: string;
  /** Long, but for agents that are to run into it. */
  readonly agentTimeout?: string;
}

/** A transport with these agents, as YAML of spec.agents. */
async function start(
  agents: string,
  { connector = "", domain = "domains: [contoso.example]", agentTimeout = "1m", ...options }: Setup = {},
) {
  const manifest = BASIC.replace(
    "{hostname: mx.contoso.example}",
    `{hostname: mx.contoso.example, limits: {agentTimeout: ${agentTimeout}}, agents: ${agents}}`,
  )
    .replace("  tarpitInterval: 0s\n", `  tarpitInterval: 0s\n${connector}`)
    .replace("domains: [contoso.example]", domain);
  transport = await startTestTransport({ ...options, manifests: { "all.yaml": manifest } });
  return transport;
}

async function open(options: Partial<DialogueOptions> = {}): Promise<Dialogue> {
  const client = await openDialogue({ port: transport?.port() ?? 0, ...options });
  clients.push(client);
  return client;
}

const dropped = (t: TestTransport) =>
  eventually(async () => {
    const [first] = await t.dropped("mailboxes");
    return first;
  });
const tracked = (t: TestTransport, event: string) =>
  eventually(async () => {
    const found = (await t.events()).filter((line) => line.event === event);
    return found.length > 0 ? found : undefined;
  });

describe("the connection filter", () => {
  test("refuses a blocked range at RCPT, except for postmaster, until the entry expires", async () => {
    const expires = new Date(systemClock.now() + 10_000).toISOString();
    const t = await start(
      `[{connectionFilter: {ipBlockList: [{range: 127.0.0.2}, {range: 127.0.0.1, expires: "${expires}"}]}}]`,
    );
    const c = await open();
    await c.say(`MAIL FROM:<${EVE}>`);
    expect(await c.say("RCPT TO:<postmaster@contoso.example>")).toMatch(/^250/);
    expect(await c.say(`RCPT TO:<${ANN[0]}>`)).toMatch(/^550 5\.7\.1/);
    const [refused] = await tracked(t, "FAIL");
    const [judged] = await tracked(t, "AGENTINFO");
    expect(judged).toMatchObject({
      agent: "Connection Filtering Agent",
      agentEvent: "onRcpt",
      verdict: "reject",
      networkMessageId: refused?.networkMessageId,
    });
    await eventually(async () => (await c.say(`RCPT TO:<${ANN[0]}>`)).startsWith("250"));
    const forever = await open({ localAddress: "127.0.0.2" });
    expect(await forever.send(EVE, ANN, SIMPLE)).toMatch(/^550 5\.7\.1/);
  });

  test("asks DNS block lists, takes their text, passes whom none lists, and logs a list that fails", async () => {
    dns = await startDns({
      "2.0.0.127.bl.example": { A: ["127.0.0.4"] },
      "1.0.0.127.broken.example": "SERVFAIL",
      "2.0.0.127.broken.example": "SERVFAIL",
      "bl.example": {},
    });
    const t = await start(
      "[{connectionFilter: {ipBlockListProviders: [{lookupDomain: broken.example}, {lookupDomain: bl.example, rejectionResponse: Listed by bl.example}]}}]",
      { resolver: systemResolver([dns.server]) },
    );
    const listed = await open({ localAddress: "127.0.0.2" });
    expect(await listed.send(EVE, ANN, SIMPLE)).toBe("550 5.7.1 Listed by bl.example");
    const clean = await open();
    expect(await clean.send(EVE, ANN, SIMPLE)).toMatch(/^250/);
    expect(dns.queries).toContain("A 2.0.0.127.bl.example");
    expect(t.logs).toContainEqual(
      expect.objectContaining({ msg: "DNS block list not asked", lookupDomain: "broken.example" }),
    );
  });

  test("frees an allowed client from all anti-spam agents", async () => {
    await start(
      `[{connectionFilter: {ipAllowList: [{range: 127.0.0.2}]}}, {senderFilter: {blockedSenders: [${EVE}]}}]`,
    );
    const stranger = await open();
    expect(await stranger.send(EVE, ANN, SIMPLE)).toMatch(/^554 5\.1\.0/);
    const friend = await open({ localAddress: "127.0.0.2" });
    expect(await friend.send(EVE, ANN, SIMPLE)).toMatch(/^250/);
  });
});

describe("the sender filter", () => {
  test("refuses senders and whole domains, in the envelope and in the From field: 554 5.1.0", async () => {
    await start(`[{senderFilter: {blockedSenders: [${EVE}], blockedDomainsAndSubdomains: [junk.example]}}]`);
    const c = await open();
    expect(await c.say(`MAIL FROM:<${EVE}>`)).toMatch(/^554 5\.1\.0/);
    expect(await c.say("MAIL FROM:<x@a.b.junk.example>")).toMatch(/^554 5\.1\.0/);
    expect(await c.send("ok@fabrikam.example", ANN, `From: X <x@junk.example>\r\n${SIMPLE}`)).toMatch(
      /^554 5\.1\.0/,
    );
    expect(await c.send("ok@fabrikam.example", ANN, `From: ok@fabrikam.example\r\n${SIMPLE}`)).toMatch(
      /^250/,
    );
  });
});

describe("the recipient filter", () => {
  test("refuses unknown and blocked recipients alike, and slows whoever harvests", async () => {
    await start(
      "[{recipientFilter: {blockedRecipients: [boss@contoso.example], harvestThreshold: 2, tarpitInterval: 4s}}]",
      {
        domain:
          "domains: [contoso.example], recipients: {validation: Reject, addresses: [ann@contoso.example, boss@contoso.example]}",
      },
    );
    const [harvester, honest] = [await open(), await open()];
    for (const c of [harvester, honest]) await c.say(`MAIL FROM:<${EVE}>`);
    const refusal = await harvester.say("RCPT TO:<a@contoso.example>");
    expect(refusal).toMatch(/^550 5\.1\.1/);
    expect(await honest.say("RCPT TO:<boss@contoso.example>")).toBe(refusal);
    await harvester.say("RCPT TO:<b@contoso.example>");
    const order: string[] = [];
    await Promise.all([
      harvester.say(`RCPT TO:<${ANN[0]}>`).then((line) => order.push(`harvester ${line.slice(0, 3)}`)),
      systemClock
        .sleep(50)
        .then(() => honest.say(`RCPT TO:<${ANN[0]}>`))
        .then((line) => order.push(`honest ${line.slice(0, 3)}`)),
    ]);
    expect(order).toEqual(["honest 250", "harvester 250"]);
  });
});

describe("the header firewall", () => {
  test("strips the organization's fields from a stranger's mail, and nothing else", async () => {
    const t = await start("[{headerFirewall: {}}]");
    const c = await open();
    const fields =
      "X-Postroom-Trust: 1\r\nX-MS-Exchange-Organization-SCL: -1\r\n folded\r\nx-postroom-lower: 1\r\nX-Other: kept\r\n";
    expect(await c.send(EVE, ANN, `${fields}${SIMPLE}`)).toMatch(/^250/);
    const content = await dropped(t);
    expect(content).toContain("X-Other: kept");
    expect(content).not.toMatch(/x-postroom|x-ms-exchange-organization|folded/i);
  });
});

describe("the attachment filter", () => {
  const EXE = Buffer.concat([
    Buffer.from("MZ"),
    Buffer.alloc(58),
    Buffer.from([64, 0, 0, 0]),
    Buffer.from("PE\0\0"),
  ]);
  const withAttachment = (name: string, content: Buffer) =>
    `Subject: files\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nText.\r\n--b\r\nContent-Type: application/octet-stream; name="${name}"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="${name}"\r\n\r\n${content.toString("base64")}\r\n--b--\r\n`;
  const NAMED = withAttachment("Invoice.VBS", Buffer.from("hello"));
  const SNIFFED = withAttachment("holiday.jpg", EXE);
  const ENTRIES =
    'entries: [{type: FileName, pattern: "*.vbs"}, {type: ContentType, pattern: application/x-msdownload}]';
  const startFilter = (action: string) => start(`[{attachmentFilter: {${ENTRIES}, action: ${action}}}]`);
  const sendOne = async (content: string) => (await open()).send(EVE, ANN, content);

  test.each([
    { name: "by its name", content: NAMED },
    { name: "by what its octets are", content: SNIFFED },
  ])("refuses 550 5.7.1 $name", async ({ content }) => {
    await startFilter("Reject");
    expect(await sendOne(content)).toMatch(/^550 5\.7\.1/);
    expect(await sendOne(withAttachment("fine.txt", Buffer.from("fine")))).toMatch(/^250/);
  });

  test("strips an attachment and leaves the rest of the message", async () => {
    const t = await startFilter("Strip");
    expect(await sendOne(SNIFFED)).toMatch(/^250/);
    const content = await dropped(t);
    expect(content).toContain("Text.");
    expect(content).toContain("This attachment was removed");
    expect(content).not.toContain(EXE.toString("base64"));
  });

  test("deletes silently: 250, a DROP in the trace, and nothing delivered", async () => {
    const t = await startFilter("SilentDelete");
    expect(await sendOne(NAMED)).toMatch(/^250 2\.6\.0/);
    const [drop] = await tracked(t, "DROP");
    const [judged] = await tracked(t, "AGENTINFO");
    expect(drop?.text).toContain("Invoice.VBS");
    expect(judged).toMatchObject({ verdict: "drop", networkMessageId: drop?.networkMessageId });
    expect((await t.events()).some(({ event }) => event === "RECEIVE")).toBe(false);
  });

  test("quarantines: 250, and the message waits in the quarantine queue", async () => {
    const t = await startFilter("Quarantine");
    expect(await sendOne(SNIFFED)).toMatch(/^250/);
    const [received] = await tracked(t, "RECEIVE");
    expect(received).toMatchObject({ queue: "Quarantine" });
    expect(await t.dropped("mailboxes")).toEqual([]);
  });
});

describe("agents together", () => {
  /** Agents under the keys of built-in ones. */
  const registry = (handlers: Readonly<Record<string, AgentHandlers>>): readonly Agent<unknown>[] =>
    Object.entries(handlers).map(([key, value]) => ({
      key,
      name: `Test ${key}`,
      antispam: false,
      create: () => value,
    }));

  test("run in the order of spec.agents, and not where the connector disables them", async () => {
    const seen: string[] = [];
    const agents = registry({
      senderFilter: { onMail: () => void seen.push("sender") },
      recipientFilter: { onMail: () => void seen.push("recipient") },
      headerFirewall: { onMail: () => void seen.push("header") },
    });
    await start("[{recipientFilter: {}}, {headerFirewall: {}}, {senderFilter: {}}]", {
      agents,
      connector: "  disabledAgents: [headerFirewall]\n",
    });
    const c = await open();
    await c.say(`MAIL FROM:<${EVE}>`);
    expect(seen).toEqual(["recipient", "sender"]);
  });

  test("hear of every event of a session, also of what smtp refuses and of its end", async () => {
    const seen: string[] = [];
    const note = (event: string) => () => void seen.push(event);
    await start("[{senderFilter: {}}]", {
      agents: registry({
        senderFilter: {
          onConnect: note("connect"),
          onEhlo: (_, name) => void seen.push(`ehlo ${name}`),
          onMail: note("mail"),
          onRcpt: note("rcpt"),
          onData: note("data"),
          onEndOfHeaders: note("headers"),
          onEndOfData: note("content"),
          onReset: note("reset"),
          onReject: (_, verb, { code }) => void seen.push(`reject ${verb} ${code}`),
          onDisconnect: note("disconnect"),
        },
      }),
    });
    const c = await open();
    await c.send(EVE, ANN, SIMPLE);
    await c.say(`MAIL FROM:<${EVE}>`);
    await c.say("RCPT TO:<x@elsewhere.example>");
    await c.say("RSET");
    await c.say("QUIT");
    await eventually(() => seen.includes("disconnect"));
    const message = ["mail", "rcpt", "data", "headers", "content"];
    const rest = ["mail", "reject RCPT 550", "reset", "disconnect"];
    expect(seen).toEqual(["connect", "ehlo client.example", ...message, ...rest]);
  });

  const EVENTS = [
    "onConnect",
    "onEhlo",
    "onMail",
    "onRcpt",
    "onData",
    "onEndOfHeaders",
    "onEndOfData",
  ] as const;
  const FAILURES = [
    {
      how: "throws",
      fail: () => {
        throw new Error("broken agent");
      },
    },
    { how: "hangs", fail: () => new Promise<undefined>(() => {}) },
  ];
  test.each(EVENTS.flatMap((event) => FAILURES.map((failure) => ({ event, ...failure }))))(
    "one that $how at $event gives 451 4.3.0 and a log line; nothing is queued, nothing passes",
    async ({ event, fail }) => {
      const t = await start("[{senderFilter: {}}]", {
        agents: registry({ senderFilter: { [event]: fail } }),
        agentTimeout: "300ms",
      });
      const c = await open({ raw: true });
      const answers = [await c.reply()];
      if (event !== "onConnect") {
        answers.push(await c.say("EHLO client.example"));
        if (event !== "onEhlo") answers.push(await c.send(EVE, ANN, SIMPLE));
      }
      expect(answers.at(-1)).toMatch(/^451 4\.3\.0/);
      expect(t.logs.filter(({ msg }) => msg === "agent failed")).toMatchObject([
        { agent: "Test senderFilter", event },
      ]);
      await tracked(t, "AGENTINFO");
      expect((await t.events()).some((line) => line.event === "RECEIVE")).toBe(false);
      expect(await t.dropped("mailboxes")).toEqual([]);
    },
  );

  test("may tarpit, stamp and defer; the stamp travels to the categorizer", async () => {
    const stamps: unknown[] = [];
    const t = await start("[{senderFilter: {}}]", {
      agents: registry({
        senderFilter: {
          onMail: () => ({ action: "tarpit", delayMs: 20 }),
          onRcpt(transaction, { address }) {
            transaction.stamp("Seen", address.localPart);
            if (address.localPart !== "later") return undefined;
            return { action: "defer", reply: reply(450, "4.2.0", "Not now") };
          },
          onSubmitted: ({ message }) => void stamps.push(message.stamps.Seen),
        },
      }),
    });
    const c = await open();
    await c.say(`MAIL FROM:<${EVE}>`);
    expect(await c.say("RCPT TO:<later@contoso.example>")).toBe("450 4.2.0 Not now");
    expect(await c.say(`RCPT TO:<${ANN[0]}>`)).toMatch(/^250/);
    await c.say("DATA");
    c.write(`${SIMPLE}.\r\n`);
    expect(await c.reply()).toMatch(/^250/);
    await dropped(t);
    expect(stamps).toEqual(["ann"]);
  });
});
