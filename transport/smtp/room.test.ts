/** The whole room over real sockets: service and session together, driven by an SMTP client. */
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { type CertificateAndKey, makeCertificate } from "../../lib/certificate.ts";
import { systemClock } from "../../lib/clock.ts";
import { reply } from "../../mail/reply.ts";
import type { MessageSink, SessionHandler, SmtpTransaction } from "../../mail/session.ts";
import type { ReceiveConnectorEntry, Secrets } from "../../snapshot/schema.ts";
import { domainsOf, receiveConnector, snapshotOf } from "../../test/helpers/receive-connector.ts";
import { type Dialogue, openDialogue } from "../../test/helpers/smtp-dialogue.ts";
import { until } from "../../test/helpers/smtp-service.ts";
import { hashPassword } from "./auth.ts";
import type { SmtpConfig, SmtpService } from "./mod.ts";
import { createSmtpService } from "./mod.ts";

interface Received {
  readonly connector: string;
  readonly client: string;
  readonly user: string | undefined;
  readonly internal: boolean;
  readonly sender: string | undefined;
  readonly recipients: readonly string[];
  readonly content: string;
}

const services: SmtpService[] = [];
const dialogues: Dialogue[] = [];
afterEach(async () => {
  for (const dialogue of dialogues.splice(0)) dialogue.close();
  await Promise.all(services.splice(0).map((service) => service.close(0)));
});

const mx = await makeCertificate({ names: ["mx.contoso.example"], days: 2 });
const renewed = await makeCertificate({ names: ["mx.contoso.example"], days: 3 });

function room() {
  const received: Received[] = [];
  const faults: object[] = [];
  const counts: string[] = [];
  const log = {
    debug: () => {},
    info: () => {},
    warn: () => {},
    error: (fields: object) => faults.push(fields),
  };
  const service = createSmtpService({
    open: () => keeper(received),
    clock: systemClock,
    log,
    count: (event, labels) => counts.push([event, ...Object.values(labels)].join(" ")),
  });
  services.push(service);
  return { service, received, faults, counts };
}

/** Accepts everything and keeps it. */
function keeper(received: Received[]): SessionHandler {
  const go = () => undefined;
  return {
    onConnect: go,
    onEhlo: go,
    onAuth: go,
    onMail: go,
    onRcpt: go,
    onData: (transaction) => keep(transaction, received),
    onReset: go,
    onReject: go,
    onDisconnect: go,
  };
}

function keep({ session, envelope }: SmtpTransaction, received: Received[]): MessageSink {
  let content = "";
  return {
    write(chunk) {
      content += Buffer.from(chunk).toString("latin1");
      return undefined;
    },
    async end() {
      const { connector, clientAddress: client, user, internal } = session;
      const recipients = envelope.recipients.map(({ address }) => `${address.localPart}@${address.domain}`);
      const sender = envelope.sender?.localPart;
      received.push({ connector, client, user, internal, sender, recipients, content });
      return { reply: reply(250, "2.0.0", "Queued") };
    },
    abort() {},
  };
}

function config(
  connectors: readonly ReceiveConnectorEntry[],
  { secrets = new Map() as Secrets, domain = "contoso.example" } = {},
): SmtpConfig {
  return { snapshot: snapshotOf(connectors), domains: domainsOf(domain), secrets };
}
function secretOf({ cert, key }: CertificateAndKey) {
  return { "tls.crt": cert, "tls.key": key };
}
async function talk(
  service: SmtpService,
  options: { localAddress?: string; raw?: boolean; tls?: boolean } = {},
) {
  const dialogue = await openDialogue({ port: service.bindings()[0]!.port, ...options });
  dialogues.push(dialogue);
  return dialogue;
}
const plain = (user: string, password: string) =>
  `AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString("base64")}`;
const text = "Subject: x\r\n\r\nhello\r\n";

describe("a port with several connectors", () => {
  const connectors = [
    receiveConnector({ name: "ns/internet" }),
    receiveConnector({ name: "ns/printers", remoteIPRanges: ["127.0.0.2"], permissionGroups: ["Relay"] }),
    receiveConnector({
      name: "ns/exchange",
      remoteIPRanges: ["127.0.0.3"],
      authMechanisms: ["Tls", "ExternalAuthoritative"],
    }),
  ];

  test.each([
    {
      name: "a stranger reaches our domain",
      from: "127.0.0.1",
      to: "ann@contoso.example",
      want: "250 2.0.0",
      by: "ns/internet",
      internal: false,
    },
    {
      name: "a stranger is not relayed",
      from: "127.0.0.1",
      to: "x@fabrikam.example",
      want: "550 5.7.1 Unable to relay",
    },
    {
      name: "a printer is relayed, and stays outside",
      from: "127.0.0.2",
      to: "x@fabrikam.example",
      want: "250 2.0.0",
      by: "ns/printers",
      internal: false,
    },
    {
      name: "an externally secured peer is relayed, and counts as internal",
      from: "127.0.0.3",
      to: "x@fabrikam.example",
      want: "250 2.0.0",
      by: "ns/exchange",
      internal: true,
    },
  ])("$name", async ({ from, to, want, by, internal }) => {
    const { service, received, faults } = room();
    expect(await service.apply(config(connectors))).toEqual([]);
    const client = await talk(service, { localAddress: from });
    expect(await client.send("x@fabrikam.example", [to], text)).toContain(want);
    expect(received.map((one) => [one.connector, one.client, one.internal])).toEqual(
      by ? [[by, from, internal]] : [],
    );
    expect(faults).toEqual([]);
  });
});

describe("submission", () => {
  const submission = receiveConnector({
    name: "ns/submission",
    permissionGroups: ["AuthenticatedUsers"],
    authMechanisms: ["Tls", "BasicAuthRequireTLS"],
    credentials: "ns/users",
    tls: { mode: "Required", minVersion: "TLSv1.2", certificates: ["ns/mx"] },
    sendAs: [{ user: "ann@contoso.example", addresses: ["sales@contoso.example"] }],
  });

  test("STARTTLS, then AUTH, then mail to anywhere as oneself, and as nobody else", async () => {
    const { service, received } = room();
    const users = `ann@contoso.example:${await hashPassword("pw")}\nbob@contoso.example:plain`;
    const secrets: Secrets = new Map<string, Record<string, string>>([
      ["ns/mx", secretOf(mx)],
      ["ns/users", { users }],
    ]);
    expect(await service.apply(config([submission], { secrets }))).toEqual([]);
    const client = await talk(service);
    expect(await client.say("MAIL FROM:<ann@contoso.example>")).toMatch(/^530 5\.7\.0/);
    expect(await client.startTls()).toContain("AUTH PLAIN LOGIN");
    expect(await client.say("MAIL FROM:<ann@contoso.example>")).toMatch(/^530 5\.7\.0/);
    expect(await client.say(plain("ann@contoso.example", "wrong"))).toMatch(/^535/);
    expect(await client.say(plain("eve", "pw"))).toMatch(/^535/);
    expect(await client.say(plain("Ann@contoso.example", "pw"))).toMatch(/^235/);
    expect(await client.say("MAIL FROM:<bob@contoso.example>")).toMatch(/^550 5\.7\.60/);
    expect(await client.say("MAIL FROM:<>")).toMatch(/^550 5\.7\.60/);
    expect(await client.send("ann@contoso.example", ["x@fabrikam.example"], text)).toContain("250 2.0.0");
    expect(await client.send("sales@contoso.example", ["x@fabrikam.example"], text)).toContain("250 2.0.0");
    expect(received.map(({ user, sender, internal }) => [user, sender, internal])).toEqual([
      ["Ann@contoso.example", "ann", true],
      ["Ann@contoso.example", "sales", true],
    ]);
  });

  test("a user who is removed is refused at once, and a Secret that is gone is a temporary failure", async () => {
    const { service, faults } = room();
    const with_ = (users: string | undefined) =>
      config([submission], {
        secrets: new Map<string, Record<string, string>>([
          ["ns/mx", secretOf(mx)],
          ...(users === undefined ? [] : ([["ns/users", { users }]] as const)),
        ]),
      });
    await service.apply(with_("ann@contoso.example:pw"));
    const client = await talk(service);
    await client.startTls();
    await service.apply(with_("bob@contoso.example:pw"));
    expect(await client.say(plain("ann@contoso.example", "pw"))).toMatch(/^535/);
    await service.apply(with_(undefined));
    expect(await client.say(plain("bob@contoso.example", "pw"))).toMatch(/^454/);
    expect(faults).toHaveLength(1);
    expect(JSON.stringify(faults)).not.toContain("pw");
  });
});

describe("live changes", () => {
  test("a renewed certificate is for new sessions; the old session goes on under the old one", async () => {
    const { service, received } = room();
    const tls = { mode: "Implicit", minVersion: "TLSv1.3", certificates: ["ns/mx"] } as const;
    const apply = (pair: CertificateAndKey) =>
      service.apply(config([receiveConnector({ tls })], { secrets: new Map([["ns/mx", secretOf(pair)]]) }));
    expect(await apply(mx)).toEqual([]);
    const old = await talk(service, { tls: true });
    expect(await apply(renewed)).toEqual([]);
    const young = await talk(service, { tls: true });
    for (const client of [old, young]) {
      expect(await client.send("x@fabrikam.example", ["ann@contoso.example"], text)).toContain("250 2.0.0");
    }
    expect(received).toHaveLength(2);
  });

  test("a transaction keeps its domains; the next one has the new", async () => {
    const { service } = room();
    await service.apply(config([receiveConnector()]));
    const client = await talk(service);
    expect(await client.say("MAIL FROM:<x@fabrikam.example>")).toMatch(/^250/);
    await service.apply(config([receiveConnector()], { domain: "northwind.example" }));
    expect(await client.say("RCPT TO:<ann@contoso.example>")).toMatch(/^250/);
    expect(await client.say("RSET")).toMatch(/^250/);
    expect(await client.say("MAIL FROM:<x@fabrikam.example>")).toMatch(/^250/);
    expect(await client.say("RCPT TO:<ann@contoso.example>")).toMatch(/^550 5\.7\.1/);
    expect(await client.say("RCPT TO:<ann@northwind.example>")).toMatch(/^250/);
  });

  test("a session in a transaction survives a hundred changes and its own connector's end", async () => {
    const { service, received } = room();
    await service.apply(config([receiveConnector()]));
    const client = await talk(service);
    await client.say("MAIL FROM:<x@fabrikam.example>");
    await client.say("RCPT TO:<ann@contoso.example>");
    expect(await client.say("DATA")).toMatch(/^354/);
    for (let i = 0; i < 100; i++) {
      client.write(`line ${i}\r\n`);
      await service.apply(config([receiveConnector({ maxMessageSize: 1e6 + i })]));
    }
    await service.apply(config([]));
    expect(service.bindings()).toEqual([]);
    client.write(".\r\n");
    expect(await client.reply()).toContain("250 2.0.0");
    expect(received[0]?.content).toContain("line 99");
    expect(await client.say("MAIL FROM:<x@fabrikam.example>")).toMatch(/^421 4\.3\.2/);
    await client.closed;
  });

  test("limits that change hold from the next MAIL on", async () => {
    const { service } = room();
    await service.apply(config([receiveConnector()]));
    const client = await talk(service);
    expect(await client.send("x@fabrikam.example", ["ann@contoso.example"], text)).toContain("250");
    await service.apply(config([receiveConnector({ messageRateLimit: 1 })]));
    expect(await client.send("x@fabrikam.example", ["ann@contoso.example"], text)).toContain("250");
    expect(await client.say("MAIL FROM:<x@fabrikam.example>")).toMatch(/^421 4\.4\.2/);
    await client.closed;
  });
});

describe("behind a balancer", () => {
  const trusting = receiveConnector({ name: "c", proxyProtocol: { trustedCIDRs: ["127.0.0.1"] } });
  const header = "PROXY TCP4 198.51.100.7 192.0.2.1 54321 25\r\n";

  test("a session behind a PROXY header is the client's", async () => {
    const { service, received } = room();
    await service.apply(config([trusting]));
    const client = await talk(service, { raw: true });
    client.write(header);
    expect(await client.reply()).toMatch(/^220 /);
    expect(await client.say("EHLO client.example")).toContain("[198.51.100.7]");
    expect(await client.send("x@fabrikam.example", ["postmaster@[192.0.2.1]"], text)).toContain("250 2.0.0");
    expect(received[0]?.client).toBe("198.51.100.7");
  });

  test("a client that talks before the banner is caught behind the header too", async () => {
    const { service } = room();
    await service.apply(config([trusting]));
    const client = await talk(service, { raw: true });
    client.write(`${header}EHLO early.example\r\n`);
    expect(await client.reply()).toMatch(/^554 5\.5\.0/);
    await client.closed;
  });
});

describe("pressure and the end", () => {
  test("high pressure answers MAIL 452 and keeps the session", async () => {
    const { service } = room();
    await service.apply(config([receiveConnector()]));
    const client = await talk(service);
    service.setPressure("high");
    expect(await client.say("MAIL FROM:<x@fabrikam.example>")).toMatch(/^452 4\.3\.1/);
    service.setPressure("normal");
    expect(await client.send("x@fabrikam.example", ["ann@contoso.example"], text)).toContain("250");
  });

  test("drain lets the message in progress end with 250, then says 421; idle sessions hear it at once", async () => {
    const { service, received } = room();
    await service.apply(config([receiveConnector()]));
    const [busy, idle] = [await talk(service), await talk(service)];
    await busy.say("MAIL FROM:<x@fabrikam.example>");
    await busy.say("RCPT TO:<ann@contoso.example>");
    await busy.say("DATA");
    let isDrained = false;
    const drained = service.drain().then(() => {
      isDrained = true;
    });
    expect(await idle.reply()).toMatch(/^421 4\.3\.2/);
    expect(isDrained).toBe(false);
    busy.write(`${text}.\r\n`);
    expect(await busy.reply()).toContain("250 2.0.0");
    expect(await busy.reply()).toMatch(/^421 4\.3\.2/);
    await drained;
    await Promise.all([busy.closed, idle.closed]);
    expect(received).toHaveLength(1);
    const late = await talk(service, { raw: true });
    expect(await late.reply()).toMatch(/^421 4\.3\.2/);
  });

  test("clients that reset at any moment of a session leave nothing behind", async () => {
    const { service, faults } = room();
    await service.apply(config([receiveConnector()]));
    const { port } = service.bindings()[0]!;
    const script = `EHLO a\r\nMAIL FROM:<x@fabrikam.example>\r\nRCPT TO:<ann@contoso.example>\r\nDATA\r\n${text}.\r\nQUIT\r\n`;
    for (let at = 0; at < script.length; at += 3) {
      const client = connect(port, "127.0.0.1");
      client.on("error", () => {});
      await once(client, "data");
      client.write(script.slice(0, at));
      if (at % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
      client.resetAndDestroy();
    }
    await until(() => service.stats().sessions === 0);
    expect(service.stats().byConnector).toEqual({});
    expect(faults).toEqual([]);
  });

  test("a client that sends all in one go and closes its half still hears every reply", async () => {
    const { service, received } = room();
    await service.apply(config([receiveConnector()]));
    const client = connect({ port: service.bindings()[0]!.port, host: "127.0.0.1", allowHalfOpen: true });
    await once(client, "data");
    client.end(
      `EHLO a\r\nMAIL FROM:<x@fabrikam.example>\r\nRCPT TO:<ann@contoso.example>\r\nDATA\r\n${text}.\r\nQUIT\r\n`,
    );
    let said = "";
    client.on("data", (chunk) => {
      said += chunk;
    });
    await once(client, "close");
    expect(said).toMatch(/250 2\.0\.0 Queued\r\n221 /);
    expect(received).toHaveLength(1);
  });
});
