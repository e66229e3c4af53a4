/** Facts about changes of configuration while a message is being worked on by the one of before. */
import { afterEach, describe, expect, test } from "vitest";
import type { Agent } from "../../transport/agents/mod.ts";
import { eventually } from "../helpers/eventually.ts";
import { type Sink, startSink } from "../helpers/sink.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, startTestTransport, type TestTransport } from "../helpers/transport.ts";

const NEVER_AGAIN = "queue: {retryIntervals: [1h]}";
const HUB = `{hostname: mx.contoso.example, ${NEVER_AGAIN}}`;

let transport: TestTransport | undefined;
const sinks: Sink[] = [];
afterEach(async () => {
  await transport?.stop();
  transport = undefined;
  for (const sink of sinks.splice(0)) await sink.close();
});

async function sinkOf(options: Parameters<typeof startSink>[0] = {}): Promise<Sink> {
  const sink = await startSink(options);
  sinks.push(sink);
  return sink;
}

async function send(t: TestTransport): Promise<void> {
  const client = await openDialogue({ port: t.port() });
  const answer = await client.send(
    "eve@fabrikam.example",
    ["ann@contoso.example"],
    "Subject: x\r\n\r\nx\r\n",
  );
  client.close();
  expect(answer).toMatch(/^250/);
}

describe("a message that is under way when the configuration changes", () => {
  test.each([
    { name: "its connector names another host", change: (port: number) => through(port) },
    {
      name: "its connector is gone, and another one is there",
      change: (port: number) => through(port).replace("name: mailboxes", "name: others"),
    },
  ])("and fails is tried at once: $name", async ({ change }) => {
    const hangs = await sinkOf({ script: () => ({ silent: true }) });
    const takes = await sinkOf();
    const t = await startTestTransport({ manifests: { "all.yaml": through(hangs.port) } });
    transport = t;
    await send(t);
    await eventually(() => hangs.open === 1);
    await t.change("all.yaml", change(takes.port));
    await hangs.close();
    await takes.messagesReach(1);
  });

  test("and finds no route by the one of before is routed again", async () => {
    let goOn = () => {};
    let begun = false;
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const agent: Agent<unknown> = {
      key: "senderFilter",
      name: "Test Agent",
      antispam: false,
      create: () => ({
        async onCategorized() {
          begun = true;
          await held;
          return undefined;
        },
      }),
    };
    const hub = BASIC.replace(
      "{hostname: mx.contoso.example}",
      HUB.replace("}}", "}, agents: [{senderFilter: {}}]}"),
    );
    const routed = hub;
    const lost = hub.replace(
      "addressSpaces: [{domain: contoso.example}]",
      "addressSpaces: [{domain: a.example}]",
    );
    const t = await startTestTransport({ manifests: { "all.yaml": lost }, agents: [agent] });
    transport = t;
    await send(t);
    await eventually(() => begun);
    await t.change("all.yaml", routed);
    goOn();
    await eventually(async () => (await t.dropped("mailboxes")).length === 1);
  });
});

/** All mail of contoso.example to this port of this machine. */
function through(port: number): string {
  return BASIC.replace("{hostname: mx.contoso.example}", HUB).replace(
    "routing: {type: Drop, directory: mailboxes}",
    `routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${port}}]}\n  tls: {mode: None}`,
  );
}
