/** Facts about the limits of a receive connector: time, size, counts, rates, and the end of the service. */
import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { eventually } from "../helpers/eventually.ts";
import { fastClock } from "../helpers/fast-clock.ts";
import { type Dialogue, type DialogueOptions, openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, startTestTransport, type TestTransport } from "../helpers/transport.ts";

const SIMPLE = "Subject: x\r\n\r\nx\r\n";
const ANN = ["ann@contoso.example"];
const EVE = "eve@fabrikam.example";

let transport: TestTransport | undefined;
const clients: Dialogue[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await transport?.stop();
  transport = undefined;
});

async function start(connector: string, { speed = 1, spec = "{hostname: mx.contoso.example}" } = {}) {
  const manifest = BASIC.replace("  tarpitInterval: 0s\n", connector).replace(
    "{hostname: mx.contoso.example}",
    spec,
  );
  transport = await startTestTransport({
    manifests: { "all.yaml": manifest },
    clock: speed === 1 ? systemClock : fastClock(speed),
  });
  return transport;
}

async function open(options: Partial<DialogueOptions> = {}): Promise<Dialogue> {
  const client = await openDialogue({ port: transport?.port() ?? 0, ...options });
  clients.push(client);
  return client;
}

const QUIET = "  tarpitInterval: 0s\n";

describe("time", () => {
  test("of silence ends a session 421 4.4.2", async () => {
    await start(`${QUIET}  connectionInactivityTimeout: 4s\n`);
    const c = await open();
    expect(await c.reply()).toMatch(/^421 4\.4\.2 Timeout/);
    await c.closed;
  });

  test("in all ends a session of nothing but commands 421 4.4.2", async () => {
    await start(`${QUIET}  connectionTimeout: 4s\n`);
    const c = await open();
    let last = "";
    for (;;) {
      last = await c.say("NOOP");
      if (!last.startsWith("250")) break;
      await systemClock.sleep(20);
    }
    expect(last).toMatch(/^421 4\.4\.2 Session too long/);
  });

  test("is short for content that trickles in: 421 4.4.2, and nothing is queued", async () => {
    const t = await start(`${QUIET}  minDataRate: 500\n`, { speed: 60 });
    const c = await open();
    await c.say(`MAIL FROM:<${EVE}>`);
    await c.say(`RCPT TO:<${ANN[0]}>`);
    await c.say("DATA");
    const trickle = setInterval(() => c.write("x\r\n"), 50);
    try {
      expect(await c.reply()).toMatch(/^421 4\.4\.2 Data rate/);
    } finally {
      clearInterval(trickle);
    }
    expect((await t.events()).some(({ event }) => event === "RECEIVE")).toBe(false);
  });

  test("of the tarpit makes refused strangers wait, and nobody else", async () => {
    await start("  tarpitInterval: 4s\n");
    const [refused, served] = [await open(), await open()];
    for (const c of [refused, served]) await c.say(`MAIL FROM:<${EVE}>`);
    const order: string[] = [];
    await Promise.all([
      refused.say("RCPT TO:<x@elsewhere.example>").then(() => order.push("refused")),
      systemClock
        .sleep(30)
        .then(() => served.say(`RCPT TO:<${ANN[0]}>`))
        .then(() => order.push("served")),
    ]);
    expect(order).toEqual(["served", "refused"]);
  });
});

describe("size", () => {
  test("declared beyond the limit is refused at MAIL, real at the end of data: 552 5.3.4", async () => {
    await start(`${QUIET}  maxMessageSize: 10Ki\n  maxHeaderSize: 2Ki\n`);
    const c = await open();
    expect(await c.say(`MAIL FROM:<${EVE}> SIZE=10241`)).toMatch(/^552 5\.3\.4/);
    expect(await c.send(EVE, ANN, `Subject: x\r\n\r\n${"0123456789\r\n".repeat(900)}`)).toMatch(
      /^552 5\.3\.4/,
    );
    expect(await c.send(EVE, ANN, `${"X-Long: a\r\n".repeat(300)}\r\nx\r\n`)).toMatch(/^552 5\.3\.4/);
    expect(await c.send(EVE, ANN, `Subject: x\r\n\r\n${"x".repeat(999)}\r\n`)).toMatch(/^550 5\.6\.0/);
    expect(await c.send(EVE, ANN, SIMPLE)).toMatch(/^250/);
  });
});

describe("counts", () => {
  test("of recipients: the next one is answered 452 4.5.3, the others get their mail", async () => {
    const t = await start(`${QUIET}  maxRecipientsPerMessage: 2\n`);
    const c = await open();
    await c.say(`MAIL FROM:<${EVE}>`);
    expect(await c.say("RCPT TO:<a@contoso.example>")).toMatch(/^250/);
    expect(await c.say("RCPT TO:<b@contoso.example>")).toMatch(/^250/);
    expect(await c.say("RCPT TO:<c@contoso.example>")).toMatch(/^452 4\.5\.3/);
    await c.say("DATA");
    c.write(`${SIMPLE}.\r\n`);
    expect(await c.reply()).toMatch(/^250/);
    const [content] = await eventually(async () => {
      const found = await t.dropped("mailboxes");
      return found.length > 0 ? found : undefined;
    });
    expect(content?.match(/X-Receiver/g)?.length).toBe(2);
  });

  test("of hops: a message that went round is refused 554 5.4.6", async () => {
    await start(`${QUIET}  maxHopCount: 3\n`);
    const c = await open();
    const hops = (n: number) =>
      "Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n".repeat(n) + SIMPLE;
    expect(await c.send(EVE, ANN, hops(4))).toMatch(/^554 5\.4\.6/);
    expect(await c.send(EVE, ANN, hops(3))).toMatch(/^250/);
  });

  test("of errors: 421 4.7.0 after the last one that is suffered", async () => {
    await start(`${QUIET}  maxProtocolErrors: 2\n`);
    const c = await open();
    expect(await c.say("FOO")).toMatch(/^500/);
    expect(await c.say("FOO")).toMatch(/^500/);
    expect(await c.say("FOO")).toMatch(/^421 4\.7\.0/);
    await c.closed;
  });

  test("of messages on a connection: 421 4.7.0", async () => {
    await start(`${QUIET}  maxMessagesPerConnection: 1\n`);
    const c = await open();
    expect(await c.send(EVE, ANN, SIMPLE)).toMatch(/^250/);
    expect(await c.say(`MAIL FROM:<${EVE}>`)).toMatch(/^421 4\.7\.0/);
  });

  test("of connections: 421 4.7.0 for one source, 421 4.3.2 for all; a place that is left is free again", async () => {
    await start(`${QUIET}  maxInboundConnectionPerSource: 2\n  maxInboundConnection: 3\n`);
    const first = await open();
    await open();
    const third = await open({ raw: true });
    expect(await third.reply()).toMatch(/^421 4\.7\.0/);
    await open({ localAddress: "127.0.0.2" });
    const fifth = await open({ raw: true, localAddress: "127.0.0.3" });
    expect(await fifth.reply()).toMatch(/^421 4\.3\.2/);
    expect(await first.say("QUIT")).toMatch(/^221/);
    await first.closed;
    const banner = await eventually(async () => {
      const again = await open({ raw: true });
      const line = await again.reply();
      return line.startsWith("220") ? line : undefined;
    });
    expect(banner).toMatch(/^220/);
  });

  test("of connections over all connectors: 421 4.3.2", async () => {
    await start(QUIET, { spec: "{hostname: mx.contoso.example, limits: {maxInboundConnections: 1}}" });
    await open();
    const second = await open({ raw: true });
    expect(await second.reply()).toMatch(/^421 4\.3\.2/);
  });

  test("of messages a minute, by client address: 421 4.4.2", async () => {
    await start(`${QUIET}  messageRateLimit: 2\n`);
    const c = await open();
    expect(await c.send(EVE, ANN, SIMPLE)).toMatch(/^250/);
    expect(await c.send(EVE, ANN, SIMPLE)).toMatch(/^250/);
    expect(await c.say(`MAIL FROM:<${EVE}>`)).toMatch(/^421 4\.4\.2/);
    const other = await open({ localAddress: "127.0.0.2" });
    expect(await other.send(EVE, ANN, SIMPLE)).toMatch(/^250/);
  });
});

describe("the end of the service", () => {
  test("lets open data finish with 250, tells the idle 421 4.3.2, and takes nobody new", async () => {
    const t = await start(QUIET);
    const [busy, idle] = [await open(), await open()];
    await busy.say(`MAIL FROM:<${EVE}>`);
    await busy.say(`RCPT TO:<${ANN[0]}>`);
    await busy.say("DATA");
    busy.write("Subject: late\r\n\r\nfirst half\r\n");
    const port = t.port();
    const restarted = t.restart();
    expect(await idle.reply()).toMatch(/^421 4\.3\.2/);
    await eventually(() => refuses(port));
    busy.write("second half\r\n.\r\n");
    expect(await busy.reply()).toMatch(/^250 2\.6\.0/);
    expect(await busy.reply()).toMatch(/^421 4\.3\.2/);
    await restarted;
    const [content] = await eventually(async () => {
      const found = await t.dropped("mailboxes");
      return found.length > 0 ? found : undefined;
    });
    expect(content).toContain("first half\r\nsecond half");
  });
});

function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", () => resolve(true));
  });
}
