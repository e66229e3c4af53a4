/** Facts about the way to next hops through a whole transport: hosts, DNS, TLS, what they can take, whose turn it is. */
import { afterEach, describe, expect, test } from "vitest";
import { systemResolver } from "../../transport/delivery/mod.ts";
import { testCertificate } from "../helpers/certificate.ts";
import { type DnsServer, type DnsZone, startDns } from "../helpers/dns-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { type Sink, type SinkOptions, startSink } from "../helpers/sink.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, OUTSIDE, startTestTransport, type TestTransport } from "../helpers/transport.ts";

const open: { close(): Promise<void> }[] = [];
let transport: TestTransport;
afterEach(async () => {
  await transport.stop();
  for (const one of open.splice(0)) await one.close();
});

const sinkOf = async (options: SinkOptions = {}): Promise<Sink> => {
  const sink = await startSink(options);
  open.push(sink);
  return sink;
};

/** contoso.example leaves as `routing` says; everything else is dropped in "outside". */
const start = async (
  routing: string,
  { more = "tls: {mode: None}", zone = {} as DnsZone, files = {}, interval = "200ms" } = {},
) => {
  const dns: DnsServer = await startDns(zone);
  open.push(dns);
  const manifest = BASIC.replace(
    "{hostname: mx.contoso.example}",
    `{hostname: mx.contoso.example, queue: {retryIntervals: [${interval}]}}`,
  ).replace("routing: {type: Drop, directory: mailboxes}", `routing: ${routing}\n  ${more}`);
  transport = await startTestTransport({
    manifests: { "all.yaml": `${manifest}---${OUTSIDE}`, ...files },
    resolver: systemResolver([dns.server]),
  });
  return dns;
};
const smartHosts = (...hosts: string[]) => `{type: SmartHost, smartHosts: [${hosts.join(", ")}]}`;
const at = ({ host, port }: Sink, more = "") => `{host: "${host}", port: ${port}${more}}`;

const send = async (subject = "x", { mail = "", to = "<ann@contoso.example>", content = "" } = {}) => {
  const client = await openDialogue({ port: transport.port() });
  expect(await client.say(`MAIL FROM:<eve@fabrikam.example>${mail}`)).toMatch(/^250/);
  expect(await client.say(`RCPT TO:${to}`)).toMatch(/^250/);
  expect(await client.say("DATA")).toMatch(/^354/);
  client.write(content || `Subject: ${subject}\r\n\r\nHi.\r\n`);
  client.write(".\r\n");
  expect(await client.reply()).toMatch(/^250/);
  client.close();
};
const report = () => eventually(async () => (await transport.dropped("outside"))[0]);
const deferred = (pattern: RegExp) =>
  eventually(async () =>
    (await transport.events()).find(({ event, text }) => event === "DEFER" && pattern.test(String(text))),
  );

describe("smart hosts", () => {
  test("of lower priority take over when the first is down", async () => {
    const down = await sinkOf({ script: () => ({ destroy: true }) });
    const up = await sinkOf();
    await start(smartHosts(at(down, ", priority: 1"), at(up, ", priority: 2")));
    await send();
    await up.messagesReach(1);
    expect(down.connections).toBeGreaterThan(0);
  });

  test("of equal priority share the load", async () => {
    // One message a connection, so that each chooses anew.
    const [one, two] = [await sinkOf(), await sinkOf()];
    await start(smartHosts(at(one), at(two)), {
      more: "tls: {mode: None}\n  smtpMaxMessagesPerConnection: 1",
    });
    for (let n = 1; n <= 6; n += 1) {
      await send();
      await eventually(() => one.messages.length + two.messages.length === n);
    }
    expect([one.messages.length, two.messages.length]).toEqual([3, 3]);
  });
});

describe("MX", () => {
  test("hosts are tried by preference, and the next when one is down", async () => {
    const second = await sinkOf({ host: "127.0.0.2" });
    const first = await sinkOf({ host: "127.0.0.1", port: second.port });
    const zone: DnsZone = {
      "contoso.example": {
        MX: [
          [20, "two.example"],
          [10, "one.example"],
        ],
      },
      "one.example": { A: ["127.0.0.1"] },
      "two.example": { A: ["127.0.0.2"] },
    };
    await start(`{type: MX, port: ${second.port}}`, {
      zone,
      more: "tls: {mode: None}\n  smtpMaxMessagesPerConnection: 1",
    });
    await send();
    await first.messagesReach(1);
    await first.close();
    open.splice(open.indexOf(first), 1);
    await send();
    await second.messagesReach(1);
  });

  test("missing, the domain's own address counts; IPv4 serves when IPv6 does not", async () => {
    const sink = await sinkOf();
    // Nobody listens at the IPv6 address: discard-only (RFC 6666).
    const zone: DnsZone = { "contoso.example": { AAAA: ["100::1"], A: ["127.0.0.1"] } };
    const dns = await start(`{type: MX, port: ${sink.port}}`, {
      zone,
      more: "tls: {mode: None}\n  connectionTimeout: 1s",
    });
    await send();
    await sink.messagesReach(1);
    expect(dns.queries).toContain("MX contoso.example");
    expect(dns.queries).toContain("AAAA contoso.example");
  });

  test("that is null bounces with 5.1.10, and one that names ourselves with 5.4.6", async () => {
    const zone: DnsZone = { "contoso.example": { MX: [[0, "."]] } };
    const dns = await start("{type: MX}", { zone });
    await send();
    expect(await report()).toMatch(/^Status: 5\.1\.10/m);
    dns.zone["loop.contoso.example"] = { MX: [[10, "MX.contoso.example"]] };
    await transport.change(
      "loop.yaml",
      "apiVersion: postroom.dev/v1alpha1\nkind: AcceptedDomain\nmetadata: {name: loop}\nspec: {domains: [loop.contoso.example]}\n---\napiVersion: postroom.dev/v1alpha1\nkind: SendConnector\nmetadata: {name: loop}\nspec: {fqdn: other.example, addressSpaces: [{domain: loop.contoso.example}], routing: {type: MX}}\n",
    );
    await send("loop", { to: "<ann@loop.contoso.example>" });
    await eventually(async () =>
      (await transport.dropped("outside")).some((text) => /^Status: 5\.4\.6/m.test(text)),
    );
  });

  test("that can't be asked keeps the mail", async () => {
    await start("{type: MX}", { zone: { "contoso.example": "SERVFAIL" } });
    await send();
    const event = await deferred(/MX lookup of contoso\.example failed/);
    expect(event.status).toBe("4.4.3");
    expect(await transport.dropped("outside")).toEqual([]);
  });
});

describe("TLS", () => {
  test("Opportunistic goes on in clear text after a failed handshake, and remembers it", async () => {
    const sink = await sinkOf({
      certificate: await testCertificate("127.0.0.1"),
      script: ({ verb }) => (verb === "TLS" ? { destroy: true } : undefined),
    });
    await start(smartHosts(at(sink)), {
      more: "tls: {mode: Opportunistic}\n  smtpMaxMessagesPerConnection: 1",
    });
    await send();
    await sink.messagesReach(1);
    await send();
    await sink.messagesReach(2);
    expect(sink.messages.map(({ tls }) => tls)).toEqual([false, false]);
    expect(sink.commands.filter((line) => line.endsWith("STARTTLS")).length).toBe(1);
    const metrics = await (await fetch(`http://127.0.0.1:${transport.httpPort}/metrics`)).text();
    expect(metrics).toMatch(/^postroom_delivery_tls_fallbacks_total\{connector="default\/mailboxes"\} 1$/m);
  });

  test("Required waits rather than go in clear text", async () => {
    const sink = await sinkOf();
    await start(smartHosts(at(sink)), { more: "tls: {mode: Required}" });
    await send();
    await deferred(/tls/i);
    expect(sink.messages).toEqual([]);
  });
});

describe("what a next hop can't take", () => {
  const utf8 = { mail: " SMTPUTF8 BODY=8BITMIME" };

  test("a UTF-8 header is downgraded for one without SMTPUTF8", async () => {
    const sink = await sinkOf({ extensions: ["8BITMIME"] });
    await start(smartHosts(at(sink)));
    await send("x", { ...utf8, content: "From: Eve <eve@fabrikam.example>\r\nSubject: Grüße\r\n\r\nx\r\n" });
    await sink.messagesReach(1);
    expect(sink.messages[0]?.parameters).not.toContain("SMTPUTF8");
    expect(sink.messages[0]?.content.toString("latin1")).toMatch(/^Subject: =\?utf-8\?/im);
  });

  test("a UTF-8 recipient bounces 5.6.7 from one without SMTPUTF8", async () => {
    const sink = await sinkOf({ extensions: ["8BITMIME"] });
    await start(smartHosts(at(sink)));
    await send("x", { ...utf8, to: "<jörg@contoso.example>" });
    expect(await report()).toMatch(/^Status: 5\.6\.7/m);
    expect(sink.messages).toEqual([]);
  });

  const BINARY = [0, 13, 10, 255, 10, 13, 46, 13, 10];
  const binaryMail = Buffer.concat([
    Buffer.from(
      "Subject: binary\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n",
    ),
    Buffer.from(BINARY),
  ]);
  const sendBinary = async (octets: Buffer, recipients = ["ann@contoso.example"]) => {
    const client = await openDialogue({ port: transport.port() });
    await client.say("MAIL FROM:<eve@fabrikam.example> BODY=BINARYMIME");
    for (const recipient of recipients) await client.say(`RCPT TO:<${recipient}>`);
    client.write(`BDAT ${octets.length} LAST\r\n`);
    client.write(octets);
    expect(await client.reply()).toMatch(/^250/);
    client.close();
  };

  test("BINARYMIME becomes text lines for one without it", async () => {
    const sink = await sinkOf({ extensions: ["8BITMIME"] });
    await start(smartHosts(at(sink)));
    await sendBinary(binaryMail);
    await sink.messagesReach(1);
    const content = sink.messages[0]?.content.toString("latin1") ?? "";
    expect(content).toMatch(/Content-Transfer-Encoding: base64/i);
    const [, body = ""] = content.split("\r\n\r\n");
    expect([...Buffer.from(body, "base64")]).toEqual(BINARY);
  });

  test.each([
    { name: "pipelined", extensions: ["PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME"] },
    { name: "step by step", extensions: ["8BITMIME", "CHUNKING", "BINARYMIME"] },
  ])("BINARYMIME goes by BDAT, octet for octet, to one that takes it, $name", async ({ extensions }) => {
    const sink = await sinkOf({
      extensions,
      script: ({ verb, argument }) =>
        verb === "RCPT" && argument.includes("bob") ? "550 5.1.1 no" : undefined,
    });
    await start(smartHosts(at(sink)));
    await sendBinary(binaryMail, ["bob@contoso.example", "ann@contoso.example"]);
    await sink.messagesReach(1);
    const { content, parameters, recipients } = sink.messages[0] ?? {};
    expect(parameters).toContain("BODY=BINARYMIME");
    expect(recipients?.map(({ address }) => address)).toEqual(["ann@contoso.example"]);
    expect([...(content ?? Buffer.alloc(0)).subarray(-BINARY.length)]).toEqual(BINARY);
    expect(sink.commands.some((line) => / DATA/.test(line))).toBe(false);
  });

  test("a binary body of 1 MiB streams by BDAT, and the connection takes the next message", async () => {
    const sink = await sinkOf({ extensions: ["PIPELINING", "CHUNKING", "BINARYMIME"] });
    await start(smartHosts(at(sink)));
    const big = Buffer.concat([binaryMail, Buffer.alloc(1_048_576, "\n\r.\0")]);
    await sendBinary(big);
    await sendBinary(binaryMail);
    await sink.messagesReach(2);
    expect(sink.messages[0]?.content.subarray(-1_048_576).equals(big.subarray(-1_048_576))).toBe(true);
    expect(sink.connections).toBe(1);
  });
});

describe("a busy next hop", () => {
  test("gets the message of high priority first", async () => {
    let isDown = true;
    const sink = await sinkOf({
      script: ({ verb }) => (isDown && verb === "MAIL" ? "451 4.3.2 later" : undefined),
    });
    const rule = (name: string, level: string) =>
      `apiVersion: postroom.dev/v1alpha1\nkind: TransportRule\nmetadata: {name: ${name}}\nspec: {conditions: {subjectContainsWords: [${name}]}, actions: {setPriority: ${level}}}\n`;
    const single = (interval: string) =>
      `${BASIC.replace("{hostname: mx.contoso.example}", `{hostname: mx.contoso.example, queue: {retryIntervals: [${interval}]}}`).replace("routing: {type: Drop, directory: mailboxes}", `routing: ${smartHosts(at(sink))}\n  tls: {mode: None}\n  maxConnections: 1`)}`;
    await start(smartHosts(at(sink)), {
      files: {
        "all.yaml": single("1h"),
        "rules.yaml": `${rule("urgent", "High")}---\n${rule("slow", "Low")}`,
      },
    });
    for (const subject of ["slow", "usual", "urgent"]) await send(subject);
    await eventually(
      async () => (await transport.events()).filter(({ event }) => event === "DEFER").length === 3,
    );
    isDown = false;
    await transport.change(
      "all.yaml",
      single("1h").replace("maxConnections: 1", "maxConnections: 1\n  smtpMaxMessagesPerConnection: 50"),
    );
    await sink.messagesReach(3);
    const subjects = sink.messages.map(
      ({ content }) => /^Subject: (.*)\r$/m.exec(content.toString("latin1"))?.[1],
    );
    expect(subjects).toEqual(["urgent", "usual", "slow"]);
  });

  test("that can't be reached is left alone for a while, however much is waiting", async () => {
    const down = await sinkOf({ script: () => ({ destroy: true }) });
    await start(smartHosts(at(down)), { interval: "1m" });
    for (let n = 0; n < 12; n += 1) await send();
    const count = async (name: string) =>
      (await transport.events()).filter(({ event }) => event === name).length;
    // Every attempt is over: each made one connection and deferred one message.
    await eventually(
      async () => (await count("TRANSFER")) === 12 && (await count("DEFER")) === down.connections,
    );
    const seen = down.connections;
    expect(seen).toBeGreaterThan(0);
    expect(seen).toBeLessThan(12);
    for (let n = 0; n < 3; n += 1) await send();
    await eventually(async () => (await count("TRANSFER")) === 15);
    expect(down.connections).toBe(seen);
  });
});
