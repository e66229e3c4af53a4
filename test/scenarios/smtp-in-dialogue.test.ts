/** Facts about the dialogue with a client: greeting, EHLO, replies, forbidden octets, chunks, addresses. */
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { type Sink, startSink } from "../helpers/sink.ts";
import { type Dialogue, openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, startTestTransport, type TestTransport } from "../helpers/transport.ts";

let transport: TestTransport | undefined;
let sink: Sink | undefined;
let client: Dialogue | undefined;
afterEach(async () => {
  client?.close();
  await transport?.stop();
  await sink?.close();
  transport = undefined;
  sink = undefined;
  client = undefined;
});

/** A transport with these fields in its receive connector. */
async function start(connector = "", edit: (manifest: string) => string = (manifest) => manifest) {
  const manifest = BASIC.replace("  tarpitInterval: 0s\n", `  tarpitInterval: 0s\n${connector}`);
  transport = await startTestTransport({ manifests: { "all.yaml": edit(manifest) } });
  return transport;
}

async function open(raw = false): Promise<Dialogue> {
  client = await openDialogue({ port: transport?.port() ?? 0, raw });
  return client;
}

const toSink = (port: number) => (manifest: string) =>
  manifest.replace(
    "routing: {type: Drop, directory: mailboxes}",
    `routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${port}}]}\n  tls: {mode: None}`,
  );

const dropped = () =>
  eventually(async () => {
    const [first] = (await transport?.dropped("mailboxes")) ?? [];
    return first;
  });

/** EHLO keywords in their order, without the greeting line. */
const keywords = (reply: string) =>
  reply
    .split("\n")
    .slice(1)
    .map((line) => line.slice(4));

describe("the greeting", () => {
  test("comes at once when the client waits for it, after nothing but TCP", async () => {
    await start();
    const c = await open(true);
    expect(await c.reply()).toBe("220 mx.contoso.example ESMTP Postroom");
  });

  test.each([
    { name: "no delay at all", connector: "" },
    { name: "a delay to catch them", connector: "  greetingDelay: 5s\n" },
  ])("is refused 554 5.5.0 to a client that talks first, with $name", async ({ connector }) => {
    await start(connector);
    const c = await open(true);
    c.write("EHLO spam.example\r\n");
    expect(await c.reply()).toMatch(/^554 5\.5\.0/);
    await c.closed;
  });
});

describe("EHLO", () => {
  test("offers everything that needs no certificate by default", async () => {
    await start();
    const c = await open();
    expect(keywords(await c.say("EHLO client.example"))).toEqual([
      "PIPELINING",
      `SIZE ${36 * 1024 * 1024}`,
      "8BITMIME",
      "SMTPUTF8",
      "DSN",
      "ENHANCEDSTATUSCODES",
      "CHUNKING",
      "BINARYMIME",
      "LIMITS RCPTMAX=200",
    ]);
  });

  test("offers no more than the fields of the connector leave", async () => {
    await start(
      "  eightBitMimeEnabled: false\n  smtpUtf8Enabled: false\n  chunkingEnabled: false\n  binaryMimeEnabled: false\n" +
        "  deliveryStatusNotificationEnabled: false\n  maxMessageSize: 300Ki\n  maxRecipientsPerMessage: 7\n  maxMessagesPerConnection: 3\n",
    );
    const c = await open();
    expect(keywords(await c.say("EHLO client.example"))).toEqual([
      "PIPELINING",
      "SIZE 307200",
      "ENHANCEDSTATUSCODES",
      "LIMITS MAILMAX=3 RCPTMAX=7",
    ]);
    for (const parameter of ["BODY=8BITMIME", "SMTPUTF8", "RET=HDRS", "ENVID=x"]) {
      expect(await c.say(`MAIL FROM:<eve@fabrikam.example> ${parameter}`)).toMatch(/^555 5\.5\.4/);
    }
  });
});

describe("replies", () => {
  test("carry an enhanced status code, each its own", async () => {
    await start("  maxProtocolErrors: 50\n");
    const c = await open();
    const talk = [
      ["NOOP", "250 2.0.0"],
      ["RSET", "250 2.0.0"],
      ["HELP", "214 2.0.0"],
      ["VRFY ann", "252 2.5.0"],
      ["EXPN all", "502 5.5.1"],
      ["WIZ", "500 5.5.1"],
      ["XXXX", "500 5.5.1"],
      ["DATA", "503 5.5.1"],
      ["STARTTLS", "454 4.7.0"],
      ["AUTH PLAIN AGEAYQ==", "502 5.5.1"],
      ["MAIL FROM:<eve@fabrikam.example> FOO=bar", "555 5.5.4"],
      ["MAIL FROM:eve", "501 5."],
      ["MAIL FROM:<eve@fabrikam.example> REQUIRETLS", "530 5.7.10"],
      ["MAIL FROM:<eve@fabrikam.example>", "250 2.1.0"],
      ["RCPT TO:<ann@contoso.example> FOO", "555 5.5.4"],
      ["RCPT TO:<ann@@contoso.example>", "501 5.1.3"],
      ["RCPT TO:<bob@elsewhere.example>", "550 5.7.1"],
      ["RCPT TO:<ann@contoso.example>", "250 2.1.5"],
      ["QUIT", "221 2.0.0"],
    ] as const;
    for (const [line, want] of talk) expect(`${line}: ${await c.say(line)}`).toContain(`${line}: ${want}`);
  });

  test("to a whole transaction sent in one packet come in order (PIPELINING)", async () => {
    await start();
    const c = await open();
    c.write("MAIL FROM:<eve@fabrikam.example>\r\nRCPT TO:<ann@contoso.example>\r\nDATA\r\n");
    expect([await c.reply(), await c.reply(), await c.reply()].map((reply) => reply.slice(0, 3))).toEqual([
      "250",
      "250",
      "354",
    ]);
    c.write("Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\n");
    expect(await c.reply()).toMatch(/^250 2\.6\.0/);
    expect(await c.reply()).toMatch(/^221/);
  });
});

describe("octets that no message may hold", () => {
  const DANGEROUS = [
    { name: "a bare LF", body: "one\ntwo" },
    { name: "a bare CR", body: "one\rtwo" },
    { name: "a NUL", body: "one\0two" },
    { name: "an end of data of LF.LF", body: "one\n.\ntwo" },
    { name: "an end of data of LF.CRLF", body: "one\n.\r\nMAIL FROM:<x@contoso.example>" },
    { name: "an end of data of CRLF.LF", body: "one\r\n.\nMAIL FROM:<x@contoso.example>" },
    { name: "an end of data of CR.CR", body: "one\r.\rtwo" },
  ];
  test.each(DANGEROUS)("are refused 550 5.6.11: $name", async ({ body }) => {
    const t = await start();
    const c = await open();
    await c.say("MAIL FROM:<eve@fabrikam.example>");
    await c.say("RCPT TO:<ann@contoso.example>");
    await c.say("DATA");
    c.write(`Subject: x\r\n\r\n${body}\r\n.\r\n`);
    expect(await c.reply()).toMatch(/^550 5\.6\.11/);
    expect(await c.say("NOOP")).toMatch(/^250/);
    expect((await t.events()).some(({ event }) => event === "RECEIVE")).toBe(false);
  });

  test("are made into line ends for a range that asks for it", async () => {
    await start("  bareLinefeedNormalizationRanges: [127.0.0.0/8]\n");
    const c = await open();
    expect(
      await c.send("eve@fabrikam.example", ["ann@contoso.example"], "Subject: x\r\n\r\none\ntwo\rthree\r\n"),
    ).toMatch(/^250/);
    expect(await dropped()).toContain("\r\n\r\none\r\ntwo\r\nthree\r\n");
  });
});

describe("content without a header", () => {
  test("keeps every line and the blank one, however the octets arrive", async () => {
    await start();
    const c = await open();
    await c.say(`MAIL FROM:<eve@fabrikam.example>`);
    await c.say("RCPT TO:<ann@contoso.example>");
    // Chunks are handed on one by one, so the blank line comes before the octets behind it.
    c.write("BDAT 15\r\nNo field here\r\n");
    expect(await c.reply()).toMatch(/^250/);
    c.write("BDAT 2\r\n\r\n");
    expect(await c.reply()).toMatch(/^250/);
    c.write("BDAT 8 LAST\r\nbehind\r\n");
    expect(await c.reply()).toMatch(/^250/);
    expect(await dropped()).toMatch(/\r\n\r\nNo field here\r\n\r\nbehind\r\n$/);
  });
});

describe("BDAT", () => {
  const binary = Buffer.from([0, 1, 10, 13, 46, 13, 10, 46, 13, 10, 255, 254]);
  const header =
    "Subject: chunks\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n";

  const sendBinary = async (c: Dialogue) => {
    expect(await c.say("MAIL FROM:<eve@fabrikam.example> BODY=BINARYMIME")).toMatch(/^250/);
    expect(await c.say("RCPT TO:<ann@contoso.example>")).toMatch(/^250/);
    expect(await c.say("DATA")).toMatch(/^503/);
    const chunks = [Buffer.from(header.slice(0, 20)), Buffer.from(header.slice(20)), binary.subarray(0, 5)];
    for (const chunk of chunks) {
      c.write(Buffer.concat([Buffer.from(`BDAT ${chunk.length}\r\n`), chunk]));
      expect(await c.reply()).toMatch(/^250 2\.0\.0/);
    }
    const last = binary.subarray(5);
    c.write(Buffer.concat([Buffer.from(`BDAT ${last.length} LAST\r\n`), last]));
    return c.reply();
  };

  test("in several chunks takes binary, and a next hop that has no BINARYMIME gets base64 of the same octets", async () => {
    sink = await startSink({ extensions: ["PIPELINING", "8BITMIME"] });
    await start("", toSink(sink.port));
    expect(await sendBinary(await open())).toMatch(/^250 2\.6\.0/);
    await sink.messagesReach(1);
    const content = sink.messages[0]?.content.toString("latin1") ?? "";
    expect(content).toMatch(/Content-Transfer-Encoding: base64/i);
    expect(content.split("\r\n\r\n")[1]?.replace(/\s/g, "")).toBe(binary.toString("base64"));
  });

  test("of text equals DATA, and an empty last chunk ends it", async () => {
    await start();
    const c = await open();
    await c.say("MAIL FROM:<eve@fabrikam.example>");
    await c.say("RCPT TO:<ann@contoso.example>");
    const text = "Subject: x\r\n\r\n.dots\r\n..\r\n.\r\nend\r\n";
    c.write(`BDAT ${text.length}\r\n${text}`);
    expect(await c.reply()).toMatch(/^250/);
    expect(await c.say("BDAT 0 LAST")).toMatch(/^250 2\.6\.0/);
    expect(await dropped()).toContain("\r\n\r\n.dots\r\n..\r\n.\r\nend\r\n");
  });
});

describe("addresses", () => {
  const SIMPLE = "Subject: x\r\n\r\nx\r\n";

  test("with a quoted local part keep it down to the drop folder", async () => {
    await start();
    const c = await open();
    expect(await c.send("eve@fabrikam.example", ['"ann of \\"it\\"@home"@contoso.example'], SIMPLE)).toMatch(
      /^250/,
    );
    expect(await dropped()).toContain('X-Receiver: <"ann of \\"it\\"@home"@contoso.example>');
  });

  test.each(["xn--mnchen-3ya.example", "münchen.example", "MÜNCHEN.example"])(
    "with an IDN domain are compared as A-labels: %s",
    async (domain) => {
      await start("", (manifest) =>
        manifest
          .replaceAll("contoso.example]", "münchen.example]")
          .replace("domain: contoso.example", "domain: xn--mnchen-3ya.example"),
      );
      const c = await open();
      const ascii = /^[\x20-\x7e]*$/.test(domain);
      expect(await c.say(`MAIL FROM:<eve@fabrikam.example>${ascii ? "" : " SMTPUTF8"}`)).toMatch(/^250/);
      expect(await c.say(`RCPT TO:<ann@${domain}>`)).toMatch(/^250/);
      await c.say("DATA");
      c.write(`${SIMPLE}.\r\n`);
      expect(await c.reply()).toMatch(/^250/);
      expect(await dropped()).toContain("X-Receiver: <ann@xn--mnchen-3ya.example>");
    },
  );

  test("in UTF-8 need SMTPUTF8, and reach a next hop that takes it as they are", async () => {
    sink = await startSink();
    await start("", toSink(sink.port));
    const c = await open();
    await c.say("MAIL FROM:<eve@fabrikam.example>");
    expect(await c.say("RCPT TO:<änne@contoso.example>")).toMatch(/^553 5\.6\.7/);
    await c.say("RSET");
    await c.say("MAIL FROM:<évé@fabrikam.example> SMTPUTF8 BODY=8BITMIME");
    expect(await c.say("RCPT TO:<änne@contoso.example>")).toMatch(/^250/);
    await c.say("DATA");
    c.write("From: évé@fabrikam.example\r\nSubject: Grüße\r\n\r\nx\r\n.\r\n");
    expect(await c.reply()).toMatch(/^250/);
    await sink.messagesReach(1);
    expect(sink.messages[0]?.sender).toBe("évé@fabrikam.example");
    expect(sink.messages[0]?.parameters).toContain("SMTPUTF8");
    expect(sink.messages[0]?.recipients[0]?.address).toBe("änne@contoso.example");
    expect(sink.messages[0]?.content.toString("utf8")).toContain("Subject: Grüße");
  });
});
