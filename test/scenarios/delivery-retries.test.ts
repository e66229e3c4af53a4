/** Facts about next hops that do not take mail at once, and what senders hear of it. */
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { type Sink, type SinkOptions, startSink } from "../helpers/sink.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, OUTSIDE, startTestTransport, type TestTransport } from "../helpers/transport.ts";

let transport: TestTransport | undefined;
let sink: Sink | undefined;
afterEach(async () => {
  await transport?.stop();
  await sink?.close();
  transport = undefined;
  sink = undefined;
});

const QUICK = "{hostname: mx.contoso.example, queue: {retryIntervals: [200ms], messageExpiration: 1m}}";

const startWith = async (options: SinkOptions, { transportSpec = QUICK, protocol = "SMTP" } = {}) => {
  sink = await startSink(options);
  const manifest = BASIC.replace("{hostname: mx.contoso.example}", transportSpec).replace(
    "routing: {type: Drop, directory: mailboxes}",
    `routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${sink.port}, protocol: ${protocol}}]}\n  tls: {mode: None}`,
  );
  transport = await startTestTransport({ manifests: { "all.yaml": manifest, "outside.yaml": OUTSIDE } });
  return { transport, sink };
};

const sendOne = async (parameters = "", to = ["ann@contoso.example"]) => {
  const client = await openDialogue({ port: transport?.port() ?? 0 });
  await client.say("MAIL FROM:<eve@fabrikam.example>");
  for (const recipient of to) expect(await client.say(`RCPT TO:<${recipient}>${parameters}`)).toMatch(/^250/);
  await client.say("DATA");
  client.write("Subject: hello\r\n\r\nHi.\r\n.\r\n");
  const answer = await client.reply();
  client.close();
  return answer;
};

describe("a next hop", () => {
  test("that answers 451 at first gets the message again, once", async () => {
    const { sink: s, transport: t } = await startWith({
      script: ({ verb, session, nth }) =>
        verb === "RCPT" && session === 1 && nth === 1 ? "451 4.3.0 later" : undefined,
    });
    await sendOne();
    await eventually(() => s.messages.length === 1);
    const events = await eventually(async () => {
      const found = (await t.events()).map(({ event }) => event);
      return found.includes("SEND") ? found : undefined;
    });
    expect(events).toContain("DEFER");
    expect(s.messages.length).toBe(1);
  });

  test("that refuses one recipient of two delivers the other and fails the one with a DSN", async () => {
    const { sink: s, transport: t } = await startWith({
      script: ({ verb, argument }) =>
        verb === "RCPT" && argument.includes("bob") ? "550 5.1.1 no bob" : undefined,
    });
    await sendOne("", ["ann@contoso.example", "bob@contoso.example"]);
    await eventually(() => s.messages.length === 1);
    const [report = ""] = await eventually(async () => {
      const found = await t.dropped("outside");
      return found.length > 0 ? found : undefined;
    });
    expect(report).toContain("bob@contoso.example");
    expect(report).not.toMatch(/Final-Recipient:.*ann@/i);
    expect(report).toMatch(/Diagnostic-Code: smtp; *550 5\.1\.1 no bob/i);
  });

  test("that is down keeps the mail queued until it expires with a DSN", async () => {
    const down = {
      transportSpec:
        "{hostname: mx.contoso.example, queue: {retryIntervals: [200ms], messageExpiration: 2s}}",
    };
    const { sink: s, transport: t } = await startWith({ script: () => ({ destroy: true }) }, down);
    await sendOne();
    const [report = ""] = await eventually(async () => {
      const found = await t.dropped("outside");
      return found.length > 0 ? found : undefined;
    });
    expect(report).toMatch(/Action: failed/i);
    expect(s.messages.length).toBe(0);
  });

  test("reached by LMTP that delivers brings a success DSN to who asked for it", async () => {
    const { sink: s, transport: t } = await startWith({ lmtp: true }, { protocol: "LMTP" });
    await sendOne(" NOTIFY=SUCCESS ORCPT=rfc822;ann@contoso.example");
    await eventually(() => s.messages.length === 1);
    const [report = ""] = await eventually(async () => {
      const found = await t.dropped("outside");
      return found.length > 0 ? found : undefined;
    });
    expect(report).toMatch(/Action: delivered/i);
    expect(report).toMatch(/Original-Recipient: rfc822; *ann@contoso\.example/i);
  });

  test("that knows no 8BITMIME gets quoted-printable", async () => {
    const { sink: s } = await startWith({ extensions: ["PIPELINING"] });
    const client = await openDialogue({ port: transport?.port() ?? 0 });
    await client.say("MAIL FROM:<eve@fabrikam.example> BODY=8BITMIME");
    await client.say("RCPT TO:<ann@contoso.example>");
    await client.say("DATA");
    client.write(
      "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nViele herzliche Grüße an alle Kolleginnen und Kollegen\r\n.\r\n",
    );
    expect(await client.reply()).toMatch(/^250/);
    client.close();
    await eventually(() => s.messages.length === 1);
    expect(s.messages[0]?.content.toString("latin1")).toMatch(/Content-Transfer-Encoding: quoted-printable/i);
    expect(s.messages[0]?.content.toString("latin1")).toContain("Gr=C3=BC=C3=9Fe");
  });

  test("keeps its connection for the next message", async () => {
    const { sink: s } = await startWith({ extensions: ["PIPELINING", "8BITMIME"] });
    await sendOne();
    await eventually(() => s.messages.length === 1);
    await sendOne();
    await eventually(() => s.messages.length === 2);
    expect(s.connections).toBe(1);
  });
});
