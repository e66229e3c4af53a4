/** Facts about a transport that runs out of room: it slows down, says 452, delivers on, and takes mail again. */
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import type { Agent } from "../../transport/agents/mod.ts";
import { eventually } from "../helpers/eventually.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
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
afterEach(async () => {
  await transport?.stop();
  transport = undefined;
});

async function start(spec: string, options: Partial<TestTransportOptions> = {}) {
  const manifest = BASIC.replace("{hostname: mx.contoso.example}", `{hostname: mx.contoso.example, ${spec}}`);
  transport = await startTestTransport({ ...options, manifests: { "all.yaml": manifest } });
  return transport;
}

/** The answer to one message, from MAIL to the end of data. */
async function send(content = SIMPLE): Promise<string> {
  const client = await openDialogue({ port: transport?.port() ?? 0 });
  const answer = await client.send(EVE, ANN, content);
  client.close();
  return answer;
}

const becomes = (t: TestTransport, level: string) =>
  eventually(() => t.logs.some((line) => line.msg === "back pressure changed" && line.level === level));

describe("back pressure", () => {
  test("of the submission queue answers 452 at its high level, and takes mail again once the queue is empty", async () => {
    let open = () => {};
    const gate = new Promise<undefined>((resolve) => {
      open = () => resolve(undefined);
    });
    const agent: Agent<unknown> = {
      key: "senderFilter",
      name: "Gate",
      antispam: false,
      create: () => ({ onSubmitted: () => gate }),
    };
    const t = await start(
      "backPressure: {submissionQueue: {medium: 2, high: 3}}, agents: [{senderFilter: {}}]",
      {
        agents: [agent],
      },
    );
    for (let n = 0; n < 3; n += 1) expect(await send()).toMatch(/^250/);
    await becomes(t, "high");
    expect(await send()).toMatch(/^452 4\.3\.1/);
    open();
    await eventually(async () => (await t.dropped("mailboxes")).length === 3);
    await becomes(t, "normal");
    expect(await send()).toMatch(/^250/);
  });

  test("of the disk answers 452 while the volume is full", async () => {
    const t = await start("queue: {storage: {size: 1Ki}}");
    await becomes(t, "high");
    expect(await send()).toMatch(/^452 4\.3\.1/);
    expect(t.logs.find(({ msg }) => msg === "back pressure changed")?.because).toMatch(/^diskUsedPercent/);
  });

  test("of memory at its medium level slows each message down and takes it", async () => {
    const memoryLimit = process.memoryUsage.rss() * 2;
    const t = await start("backPressure: {memoryUsedPercent: {medium: 5, high: 100}}", { memoryLimit });
    await becomes(t, "medium");
    const [slowed, other] = [await openDialogue({ port: t.port() }), await openDialogue({ port: t.port() })];
    const order: string[] = [];
    await Promise.all([
      slowed.say(`MAIL FROM:<${EVE}>`).then((line) => order.push(`MAIL ${line.slice(0, 3)}`)),
      systemClock
        .sleep(30)
        .then(() => other.say("NOOP"))
        .then((line) => order.push(`NOOP ${line.slice(0, 3)}`)),
    ]);
    slowed.close();
    other.close();
    expect(order).toEqual(["NOOP 250", "MAIL 250"]);
    expect(t.logs.find(({ msg }) => msg === "back pressure changed")?.because).toMatch(/^memoryUsedPercent/);
  });

  test("of memory at its high level answers 452", async () => {
    const t = await start("", { memoryLimit: 1 });
    await becomes(t, "high");
    expect(await send()).toMatch(/^452 4\.3\.1/);
  });
});
