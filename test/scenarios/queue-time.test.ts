/** Facts about what time does to waiting mail: retries, delay notices, expiry wherever a message sits. */
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { postroom } from "../helpers/postroom.ts";
import { type Sink, startSink } from "../helpers/sink.ts";
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

/** contoso.example goes to a next hop that answers 451 to everybody; lost.example goes nowhere. */
async function start(queue: string) {
  sink = await startSink({ script: ({ verb }) => (verb === "RCPT" ? "451 4.3.0 not today" : undefined) });
  const manifest = BASIC.replace(
    "{hostname: mx.contoso.example}",
    `{hostname: mx.contoso.example, queue: ${queue}}`,
  )
    .replace("domains: [contoso.example]", "domains: [contoso.example, lost.example]")
    .replace(
      "routing: {type: Drop, directory: mailboxes}",
      `routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${sink.port}}]}\n  tls: {mode: None}`,
    );
  const outside = OUTSIDE.replace('domain: "*"', "domain: fabrikam.example");
  transport = await startTestTransport({ manifests: { "all.yaml": manifest, "outside.yaml": outside } });
  return transport;
}

async function sendTo(recipient: string, { sender = "eve@fabrikam.example", parameters = "" } = {}) {
  const client = await openDialogue({ port: transport?.port() ?? 0 });
  await client.say(`MAIL FROM:<${sender}>`);
  expect(await client.say(`RCPT TO:<${recipient}>${parameters}`)).toMatch(/^250/);
  await client.say("DATA");
  client.write("Subject: hello\r\n\r\nHi.\r\n.\r\n");
  expect(await client.reply()).toMatch(/^250/);
  client.close();
}

const reports = (t: TestTransport, count = 1) =>
  eventually(async () => {
    const found = await t.dropped("outside");
    return found.length >= count ? found : undefined;
  });
const tracked = (t: TestTransport, event: string, count = 1) =>
  eventually(async () => {
    const found = (await t.events()).filter((line) => line.event === event);
    return found.length >= count ? found : undefined;
  });

describe("retries", () => {
  test("come after the intervals in their order, of which the last repeats", async () => {
    const t = await start("{retryIntervals: [100ms, 4s], messageExpiration: 1m}");
    await sendTo("ann@contoso.example");
    const times = (await tracked(t, "DEFER", 4)).map(({ time }) => Date.parse(String(time)));
    const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(waits[0]).toBeLessThan(3500);
    expect(waits[1]).toBeGreaterThanOrEqual(3500);
    expect(waits[2]).toBeGreaterThanOrEqual(3500);
  });
});

describe("a delay", () => {
  test("is told once, with the time until which will be tried; NOTIFY without DELAY hears nothing", async () => {
    const t = await start("{retryIntervals: [500ms], messageExpiration: 9s, delayNotification: 1s}");
    await sendTo("ann@contoso.example");
    await sendTo("bob@contoso.example", { parameters: " NOTIFY=FAILURE" });
    const [first = ""] = await reports(t);
    expect(first).toMatch(/Action: delayed\s+Status: 4\./);
    expect(first).toMatch(/Will-Retry-Until: /);
    expect(first).toContain("ann@contoso.example");
    const all = await reports(t, 3);
    expect(all.filter((report) => report.includes("Action: delayed"))).toHaveLength(1);
    expect(all.filter((report) => report.includes("Action: failed"))).toHaveLength(2);
  });

  test("of 0s means that nobody is told", async () => {
    const t = await start("{retryIntervals: [200ms], messageExpiration: 6s, delayNotification: 0s}");
    await sendTo("ann@contoso.example");
    const [first = ""] = await reports(t);
    expect(first).toContain("Action: failed");
    expect(await tracked(t, "DSN")).toMatchObject([{ kind: "failed" }]);
  });
});

describe("expiry", () => {
  test("ends messages without a route, messages held by an administrator, and never reports to the null sender", async () => {
    const t = await start("{retryIntervals: [1h], messageExpiration: 15s}");
    await sendTo("ann@lost.example");
    await sendTo("bob@contoso.example");
    await sendTo("cat@lost.example", { sender: "" });
    await tracked(t, "DEFER");
    const held = await postroom("queue", "suspend", "--queue", "Delivery", "--state", t.state);
    expect(held).toMatchObject({ code: 0, stdout: "1 message\n" });
    const all = await reports(t, 2);
    expect(all.find((report) => report.includes("ann@lost.example"))).toMatch(
      /Action: failed\s+Status: 5\.4\.4/,
    );
    expect(all.find((report) => report.includes("bob@contoso.example"))).toMatch(/Action: failed\s+Status: /);
    await tracked(t, "FAIL", 3);
    expect(await t.dropped("outside")).toHaveLength(2);
    const left = await postroom("queue", "list", "--messages", "--state", t.state, "-o", "json");
    expect(JSON.parse(left.stdout)).toEqual([]);
  });
});
