/** Facts about the end of the process: it comes in time, and nothing is lost by it. */
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { type Sink, type SinkOptions, startSink } from "../helpers/sink.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, startTestTransport, type TestTransport } from "../helpers/transport.ts";

let transport: TestTransport | undefined;
let sink: Sink | undefined;
afterEach(async () => {
  await transport?.stop();
  await sink?.close();
  transport = undefined;
  sink = undefined;
});

async function start(options: SinkOptions) {
  sink = await startSink(options);
  const routing = `{type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${sink.port}}]}\n  tls: {mode: None}`;
  const manifest = BASIC.replace("{type: Drop, directory: mailboxes}", routing);
  transport = await startTestTransport({ manifests: { "all.yaml": manifest } });
  return { transport, sink };
}

async function sendOne(t: TestTransport): Promise<void> {
  const client = await openDialogue({ port: t.port() });
  const answer = await client.send(
    "eve@fabrikam.example",
    ["ann@contoso.example"],
    "Subject: x\r\n\r\nx\r\n",
  );
  expect(answer).toMatch(/^250/);
  client.close();
}

describe("a stop", () => {
  test.each([
    { name: "at the final dot", at: "CONTENT" },
    { name: "at the greeting", at: "CONNECT" },
    { name: "at RCPT", at: "RCPT" },
  ])("cuts a next hop that is silent $name, and sends again at once at the next start", async ({ at }) => {
    const { transport: t, sink: s } = await start({
      script: ({ verb, session }) => (verb === at && session === 1 ? { silent: true } : undefined),
    });
    await sendOne(t);
    await eventually(
      () => s.connections === 1 && (at === "CONNECT" || s.commands.some((c) => c.includes("RCPT"))),
    );
    await t.restart(); // with a grace of one second
    await eventually(() => s.connections === 2 && s.messages.length >= 1);
    await eventually(async () => (await t.events()).some(({ event }) => event === "SEND"));
    expect(t.logs.some(({ msg }) => /not settled|not read|fault/.test(String(msg)))).toBe(false);
  });

  test("waits for a delivery that ends within the grace, which is not sent again", async () => {
    const { transport: t, sink: s } = await start({
      script: ({ verb }) => (verb === "CONTENT" ? { delayMs: 300, reply: "250 2.0.0 taken" } : undefined),
    });
    await sendOne(t);
    await eventually(() => s.commands.some((c) => c.includes("DATA")));
    await t.restart({ graceMs: 60_000 });
    expect((await t.events()).filter(({ event }) => event === "SEND")).toHaveLength(1);
    await sendOne(t);
    await eventually(async () => (await t.events()).filter(({ event }) => event === "SEND").length === 2);
    expect(s.messages).toHaveLength(2);
  });
});
