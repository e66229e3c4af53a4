/** Facts about who may do what: TLS, AUTH, permission groups, ranges, and clients behind a balancer. */
import { afterEach, describe, expect, test } from "vitest";
import { hashPassword } from "../../transport/smtp/mod.ts";
import { testCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { startSink } from "../helpers/sink.ts";
import { type Dialogue, type DialogueOptions, openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, OUTSIDE, startTestTransport, type TestTransport } from "../helpers/transport.ts";

const SIMPLE = "Subject: x\r\n\r\nx\r\n";
const EVE = "eve@fabrikam.example";
const FAR = "bob@elsewhere.example";

let transport: TestTransport | undefined;
const clients: Dialogue[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await transport?.stop();
  transport = undefined;
});

const indent = (text: string) => text.trimEnd().replace(/^/gm, "    ");

async function tlsSecret(name: string, host: string): Promise<string> {
  const { cert, key } = await testCertificate(host);
  return `\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: ${name}}\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: |\n${indent(cert)}\n  tls.key: |\n${indent(key)}\n`;
}

const usersSecret = (users: string) =>
  `\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: users}\nstringData:\n  users: |\n${indent(users)}\n`;

const connector = (name: string, spec: string) =>
  `\n---\napiVersion: postroom.dev/v1alpha1\nkind: ReceiveConnector\nmetadata: {name: ${name}}\nspec:\n  tarpitInterval: 0s\n${spec}`;

/** BASIC without its receive connector, and these objects. */
async function start(...objects: string[]) {
  const frame = BASIC.replace(/---\napiVersion: \S+\nkind: ReceiveConnector[\s\S]*?(?=---)/, "");
  transport = await startTestTransport({
    manifests: { "all.yaml": `${frame}${objects.join("")}`, "outside.yaml": OUTSIDE },
  });
  return transport;
}

async function open(options: Partial<DialogueOptions> = {}): Promise<Dialogue> {
  const client = await openDialogue({ port: transport?.port() ?? 0, ...options });
  clients.push(client);
  return client;
}

const LOCAL = "  bindings: [{address: 127.0.0.1, port: 0}]\n";
const CERTIFICATES = "[{name: first}, {name: second}]";
const certificates = async () =>
  (await tlsSecret("first", "mx.contoso.example")) + (await tlsSecret("second", "mail.other.example"));
const plain = (user: string, password: string) => Buffer.from(`\0${user}\0${password}`).toString("base64");
const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("TLS", () => {
  test("by STARTTLS shows the certificate that SNI names, else the first, and then offers REQUIRETLS", async () => {
    await start(connector("in", `${LOCAL}  tls: {certificateRefs: ${CERTIFICATES}}\n`), await certificates());
    const named = await open();
    expect(await named.say("EHLO client.example")).toContain("STARTTLS");
    const hello = await named.startTls("mail.other.example");
    expect(hello).toContain("REQUIRETLS");
    expect(hello).not.toContain("STARTTLS");
    expect(named.certificateName()).toBe("mail.other.example");
    const nameless = await open();
    await nameless.startTls();
    expect(nameless.certificateName()).toBe("mx.contoso.example");
    const strange = await open();
    await strange.startTls("who.example");
    expect(strange.certificateName()).toBe("mx.contoso.example");
  });

  test("from the first octet, with SNI, is stated in the Received field", async () => {
    const t = await start(
      connector("in", `${LOCAL}  tls: {mode: Implicit, certificateRefs: ${CERTIFICATES}}\n`),
      await certificates(),
    );
    const c = await open({ tls: true, servername: "mail.other.example" });
    expect(c.certificateName()).toBe("mail.other.example");
    expect(await c.send(EVE, ["ann@contoso.example"], SIMPLE)).toMatch(/^250/);
    const [content] = await eventually(async () => {
      const found = await t.dropped("mailboxes");
      return found.length > 0 ? found : undefined;
    });
    expect(content).toMatch(/with ESMTPS/);
  });

  test("when required comes before mail: 530 5.7.0", async () => {
    await start(
      connector("in", `${LOCAL}  tls: {mode: Required, certificateRefs: ${CERTIFICATES}}\n`),
      await certificates(),
    );
    const c = await open();
    expect(await c.say(`MAIL FROM:<${EVE}>`)).toMatch(/^530 5\.7\.0/);
    await c.startTls();
    expect(await c.say(`MAIL FROM:<${EVE}>`)).toMatch(/^250/);
  });

  test("demanded by REQUIRETLS is demanded from the next hop too", async () => {
    const sink = await startSink();
    const t = await start(
      connector(
        "in",
        `${LOCAL}  remoteIPRanges: [127.0.0.1]\n  permissionGroups: [Relay]\n  tls: {certificateRefs: ${CERTIFICATES}}\n`,
      ),
      await certificates(),
    );
    const smartHost = `routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${sink.port}}]}`;
    await t.change("outside.yaml", OUTSIDE.replace(/routing: .*/, smartHost));
    const c = await open();
    await c.startTls();
    expect(await c.say(`MAIL FROM:<${EVE}> REQUIRETLS`)).toMatch(/^250/);
    expect(await c.say(`RCPT TO:<${FAR}>`)).toMatch(/^250/);
    await c.say("DATA");
    c.write(`${SIMPLE}.\r\n`);
    expect(await c.reply()).toMatch(/^250/);
    await eventually(async () =>
      (await t.events()).some(({ event }) => event === "FAIL" || event === "DEFER"),
    );
    expect(sink.messages).toEqual([]);
    await sink.close();
  });
});

describe("AUTH", () => {
  const submission = (more = "") =>
    connector(
      "submission",
      `${LOCAL}  permissionGroups: [AuthenticatedUsers]\n  authMechanisms: [Tls, BasicAuthRequireTLS]\n  credentialsRef: {name: users}\n  maxLogonFailures: 2\n  tls: {certificateRefs: [{name: first}]}\n${more}`,
    );
  const startSubmission = async (more = "") => {
    const users = `ann@contoso.example:plain secret\nbob:${await hashPassword("hashed secret")}\n`;
    return start(submission(more), await tlsSecret("first", "mx.contoso.example"), usersSecret(users));
  };

  test("is offered and taken only under TLS, and mail only after it", async () => {
    await startSubmission();
    const c = await open();
    expect(await c.say("EHLO client.example")).not.toContain("AUTH");
    expect(await c.say(`AUTH PLAIN ${plain("bob", "hashed secret")}`)).toMatch(/^538 5\.7\.11/);
    expect(await c.startTls()).toContain("AUTH PLAIN LOGIN");
    expect(await c.say(`MAIL FROM:<${EVE}>`)).toMatch(/^530 5\.7\.0/);
  });

  test("PLAIN takes a password stored plain, and lets the user relay as itself only", async () => {
    const t = await startSubmission();
    const c = await open();
    await c.startTls();
    expect(await c.say(`AUTH PLAIN ${plain("ann@contoso.example", "plain secret")}`)).toMatch(/^235 2\.7\.0/);
    expect(await c.say(`MAIL FROM:<${EVE}>`)).toMatch(/^550 5\.7\.60/);
    expect(await c.send("ann@contoso.example", [FAR], SIMPLE)).toMatch(/^250/);
    const [content] = await eventually(async () => {
      const found = await t.dropped("outside");
      return found.length > 0 ? found : undefined;
    });
    expect(content).toMatch(/with ESMTPSA/);
    expect(content).toMatch(/^Message-ID: </m);
  });

  test("LOGIN takes a password stored as scrypt, and sendAs adds senders", async () => {
    await startSubmission(
      '  sendAs: [{user: bob, addresses: ["info@contoso.example", "*@fabrikam.example"]}]\n',
    );
    const c = await open();
    await c.startTls();
    expect(await c.say("AUTH LOGIN")).toMatch(/^334/);
    expect(await c.say(base64("bob"))).toMatch(/^334/);
    expect(await c.say(base64("hashed secret"))).toMatch(/^235/);
    expect(await c.say("MAIL FROM:<info@contoso.example>")).toMatch(/^250/);
    await c.say("RSET");
    expect(await c.say(`MAIL FROM:<${EVE}>`)).toMatch(/^250/);
    await c.say("RSET");
    expect(await c.say("MAIL FROM:<boss@contoso.example>")).toMatch(/^550 5\.7\.60/);
  });

  test("that fails too often ends the session, and no password reaches the log", async () => {
    const t = await startSubmission("  protocolLoggingLevel: Verbose\n");
    const c = await open();
    await c.startTls();
    expect(await c.say(`AUTH PLAIN ${plain("bob", "wrong-guess")}`)).toMatch(/^535 5\.7\.8/);
    expect(await c.say(`AUTH PLAIN ${plain("nobody", "wrong-guess")}`)).toMatch(/^535 5\.7\.8/);
    expect(await c.say(`AUTH PLAIN ${plain("bob", "hashed secret")}`)).toMatch(/^421 4\.7\.0/);
    await c.closed;
    const log = JSON.stringify(t.logs);
    expect(log).toContain("smtp dialogue");
    for (const secret of ["wrong-guess", "hashed secret", plain("bob", "wrong-guess"), "plain secret"])
      expect(log).not.toContain(secret);
  });

  test("counts messages by user where the connector says so", async () => {
    await startSubmission("  messageRateLimit: 1\n  messageRateSource: User\n");
    const logOn = async (user: string, password: string) => {
      const c = await open();
      await c.startTls();
      expect(await c.say(`AUTH PLAIN ${plain(user, password)}`)).toMatch(/^235/);
      return c;
    };
    const ann = await logOn("ann@contoso.example", "plain secret");
    expect(await ann.say("MAIL FROM:<ann@contoso.example>")).toMatch(/^250/);
    const again = await logOn("ann@contoso.example", "plain secret");
    expect(await again.say("MAIL FROM:<ann@contoso.example>")).toMatch(/^421 4\.4\.2/);
    const bob = await logOn("bob", "hashed secret");
    expect(await bob.say("MAIL FROM:<bob@contoso.example>")).toMatch(/^550 5\.7\.60/);
  });

  test("goes without TLS where the connector allows it", async () => {
    await start(
      connector(
        "submission",
        `${LOCAL}  permissionGroups: [AuthenticatedUsers]\n  authMechanisms: [BasicAuth]\n  credentialsRef: {name: users}\n`,
      ),
      usersSecret("ann@contoso.example:secret\n"),
    );
    const c = await open();
    expect(await c.say("EHLO client.example")).toContain("AUTH PLAIN LOGIN");
    expect(await c.say(`AUTH PLAIN ${plain("ann@contoso.example", "secret")}`)).toMatch(/^235/);
  });
});

describe("on one port, the most specific range decides", () => {
  test("who may relay, who counts as internal, and who is a stranger", async () => {
    const t = await start(
      connector("internet", `${LOCAL}  acceptAuthoritativeDomainSender: false\n`),
      connector("relays", `${LOCAL}  remoteIPRanges: [127.0.0.0/24]\n  permissionGroups: [Relay]\n`),
      connector(
        "trusted",
        `${LOCAL}  remoteIPRanges: [127.0.0.3]\n  permissionGroups: [AnonymousUsers]\n  authMechanisms: [ExternalAuthoritative]\n`,
      ),
    );
    const stranger = await open({ localAddress: "127.0.9.1" });
    expect(await stranger.say("MAIL FROM:<boss@contoso.example>")).toMatch(/^550 5\.7\.60/);
    expect(await stranger.send(EVE, [FAR], SIMPLE)).toMatch(/^550 5\.7\.1/);
    const relay = await open({ localAddress: "127.0.0.2" });
    expect(await relay.send(EVE, [FAR], `X-Postroom-Test: a\r\n${SIMPLE}`)).toMatch(/^250/);
    const trusted = await open({ localAddress: "127.0.0.3" });
    expect(await trusted.send("boss@contoso.example", [FAR], `X-Postroom-Test: b\r\n${SIMPLE}`)).toMatch(
      /^250/,
    );
    const connectors = await eventually(async () => {
      const found = (await t.events()).filter(({ event }) => event === "RECEIVE");
      return found.length === 2 ? found.map((line) => line.connector) : undefined;
    });
    expect(connectors).toEqual(["default/relays", "default/trusted"]);
    const contents = await eventually(async () => {
      const found = await t.dropped("outside");
      return found.length === 2 ? found : undefined;
    });
    // The header firewall trusts what is externally secured, and nobody else.
    expect(contents.filter((content) => content.includes("X-Postroom-Test: b"))).toHaveLength(1);
    expect(contents.filter((content) => content.includes("X-Postroom-Test: a"))).toHaveLength(0);
  });
});

describe("the PROXY protocol", () => {
  const PROXIED = connector("in", `${LOCAL}  proxyProtocol: {trustedCIDRs: [127.0.0.1]}\n`);
  const v2 = Buffer.concat([
    Buffer.from("0d0a0d0a000d0a515549540a2111000c", "hex"),
    Buffer.from([198, 51, 100, 7, 192, 0, 2, 1, 0xd4, 0x31, 0, 25]),
  ]);

  test.each([
    { name: "version 1", preface: "PROXY TCP4 198.51.100.7 192.0.2.1 54321 25\r\n" },
    { name: "version 2", preface: v2 },
  ])("in $name gives the client its own address", async ({ preface }) => {
    const t = await start(PROXIED);
    const c = await open({ preface });
    expect(await c.send(EVE, ["ann@contoso.example"], SIMPLE)).toMatch(/^250/);
    const [received] = await eventually(async () => {
      const found = (await t.events()).filter(({ event }) => event === "RECEIVE");
      return found.length > 0 ? found : undefined;
    });
    expect(received?.client).toBe("198.51.100.7");
  });

  test("is not believed from anybody else: 554 5.5.0", async () => {
    await start(PROXIED);
    const c = await open({
      raw: true,
      localAddress: "127.0.0.9",
      preface: "PROXY TCP4 198.51.100.7 192.0.2.1 54321 25\r\n",
    });
    expect(await c.reply()).toMatch(/^554 5\.5\.0/);
  });

  test("chooses the connector by the client it names", async () => {
    const near = connector(
      "near",
      `${LOCAL}  remoteIPRanges: [198.51.100.0/24]\n  fqdn: near.contoso.example\n  proxyProtocol: {trustedCIDRs: [127.0.0.1]}\n`,
    );
    await start(PROXIED, near);
    const c = await open({ raw: true, preface: v2 });
    expect(await c.reply()).toContain("near.contoso.example");
  });
});
