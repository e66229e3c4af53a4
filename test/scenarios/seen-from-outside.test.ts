/** Facts about what an administrator sees: metrics, health, log lines, and the command line on the same folders. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { postroom } from "../helpers/postroom.ts";
import { type Dialogue, openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, OUTSIDE, startTestTransport, type TestTransport } from "../helpers/transport.ts";

const RULE = (name: string, word: string, actions: string) =>
  `apiVersion: postroom.dev/v1alpha1\nkind: TransportRule\nmetadata: {name: ${name}}\nspec: {conditions: {subjectContainsWords: [${word}]}, actions: ${actions}}\n`;
const MANIFESTS = {
  "all.yaml": `${BASIC.replace(
    "{hostname: mx.contoso.example}",
    "{hostname: mx.contoso.example, agents: [{senderFilter: {blockedSenders: [bad@fabrikam.example]}}, {headerFirewall: {}}]}",
  ).replace(
    "[contoso.example]}",
    "[contoso.example, lost.example]}",
  )}---${OUTSIDE.replace('"*"', "fabrikam.example")}`,
  "rules.yaml": `${RULE("mark", "hello", '{prependSubject: "[M] "}')}---\n${RULE("no", "forbidden", "{rejectMessage: {}}")}`,
};

let transport: TestTransport;
let client: Dialogue;
beforeAll(async () => {
  transport = await startTestTransport({ manifests: MANIFESTS });
  client = await openDialogue({ port: transport.port() });
  const send = (to: string, subject: string) =>
    client.send(
      "eve@fabrikam.example",
      [to],
      `Message-ID: <${subject}@x>\r\nSubject: ${subject}\r\n\r\nSecret body.\r\n`,
    );
  expect(await client.send("bad@fabrikam.example", ["ann@contoso.example"], "x")).toMatch(/^5/);
  await client.say("RSET");
  expect(await send("ann@contoso.example", "hello")).toMatch(/^250/);
  expect(await send("ann@contoso.example", "forbidden")).toMatch(/^250/);
  expect(await send("bob@lost.example", "stranded")).toMatch(/^250/);
  await eventually(
    async () =>
      (await transport.dropped("outside")).length === 1 &&
      (await transport.dropped("mailboxes")).length === 1,
  );
  await eventually(async () => {
    const events = await transport.events();
    return (
      events.filter(({ event }) => event === "DELIVER").length === 2 &&
      events.some(({ queue }) => queue === "Unreachable")
    );
  });
});
afterAll(() => transport.stop());

const get = async (path: string) => {
  const response = await fetch(`http://127.0.0.1:${transport.httpPort}${path}`);
  return { status: response.status, text: await response.text() };
};

describe("metrics", () => {
  test("are those that docs/metrics.md lists, all of them and no other", async () => {
    const { text } = await get("/metrics");
    const served = [...text.matchAll(/^# TYPE (postroom_\S+)/gm)].map(([, name]) => name);
    const page = await readFile(join(import.meta.dirname, "../../docs/metrics.md"), "utf8");
    const listed = [...page.matchAll(/^\| `(postroom_\w+)`/gm)].map(([, name]) => name);
    expect(listed.toSorted()).toEqual(served.toSorted());
  });

  test.each([
    'smtp_connections_total{connector="default/internet"} 1',
    'smtp_sessions{connector="default/internet"} 1',
    'messages_received_total{connector="default/internet"} 3',
    'rule_hits_total{rule="default/mark",outcome="matched"} 1',
    'rule_hits_total{rule="default/no",outcome="matched"} 1',
    'deliveries_total{connector="default/mailboxes",result="delivered"} 1',
    'dsns_total{kind="failed"} 1',
    'queue_messages{queue="Unreachable",next_hop=""} 1',
    'reloads_total{outcome="applied"} 1',
    "accept_duration_seconds_count 3",
    'delivery_duration_seconds_count{connector="default/mailboxes"} 1',
    "back_pressure_level 0",
  ])("say %s", async (line) => {
    expect((await get("/metrics")).text).toContain(`postroom_${line}\n`);
  });

  test("count agents and replies, and tell the age of the oldest message of a queue", async () => {
    const { text } = await get("/metrics");
    expect(text).toMatch(/^postroom_agent_runs_total\{.*agent="[^"]+",event="onMail",verdict="reject"\} 1$/m);
    expect(text).toMatch(/^postroom_agent_duration_seconds_count\{.*event="onMail"\} [1-9]/m);
    expect(text).toMatch(
      /^postroom_smtp_replies_total\{connector="default\/internet",verb="RCPT",code="250"\} 3$/m,
    );
    expect(text).toMatch(/^postroom_queue_oldest_seconds\{queue="Unreachable",next_hop=""\} 0?\.?\d/m);
    expect(text).toMatch(/^postroom_categorize_duration_seconds_count [4-9]$/m);
  });
});

describe("the command line, on the folders of a running transport,", () => {
  test("checks", async () => {
    const { code, stdout } = await postroom("check", transport.manifests);
    expect(stdout).toContain("2 files, 0 faults");
    expect(code).toBe(0);
  });

  test("explains the connector, the rule and the next hop", async () => {
    const { code, stdout } = await postroom(
      ...["explain", "--manifests", transport.manifests, "--from", "eve@fabrikam.example"],
      ...["--to", "ann@contoso.example", "--subject", "hello", "--client-ip", "198.51.100.7"],
    );
    expect(stdout).toMatch(/Receive connector: default\/internet/);
    expect(stdout).toMatch(/default\/mark\s+matched/);
    expect(stdout).toMatch(/default\/mailboxes\s+contoso\.example\s+chosen/);
    expect(code).toBe(0);
  });

  test("explains at the binding's own address, where postmaster lives and nobody else", async () => {
    // A folder that nobody runs: its port is only asked about.
    const folder = await mkdtemp(join(tmpdir(), "postroom-explain-"));
    const narrow = BASIC.replace("{address: 127.0.0.1, port: 0}", "{address: 127.0.0.7, port: 2626}");
    await writeFile(join(folder, "all.yaml"), narrow);
    const { stdout } = await postroom(
      ...["explain", "--manifests", folder, "--from", "eve@fabrikam.example", "-o", "json"],
      ...["--to", "postmaster@[127.0.0.7]", "ann@[127.0.0.7]"],
    );
    await rm(folder, { recursive: true });
    const { receive, recipients } = JSON.parse(stdout);
    expect(receive.connector).toBe("default/internet");
    expect(recipients.map(({ answer }: { answer: string }) => answer)).toEqual([
      "accepted",
      "550 5.7.1 Unable to relay",
    ]);
  });

  test("lists the queue", async () => {
    const { stdout } = await postroom(
      "queue",
      "list",
      "--state",
      transport.state,
      "--messages",
      "-o",
      "json",
    );
    expect(JSON.parse(stdout)).toMatchObject([{ queue: "Unreachable", sender: "eve@fabrikam.example" }]);
  });

  test("traces a message from RECEIVE to DELIVER", async () => {
    const { code, stdout } = await postroom(
      ...["trace", "--state", transport.state, "--message-id", "<hello@x>", "-o", "json"],
    );
    const events: { event: string }[] = JSON.parse(stdout);
    expect(events.map(({ event }) => event)).toEqual(
      expect.arrayContaining(["RECEIVE", "AGENTINFO", "TRANSFER", "DELIVER"]),
    );
    expect(code).toBe(0);
    expect((await postroom("trace", "--state", transport.state, "--message-id", "<none@x>")).code).toBe(1);
  });

  test("finds no content in log or trace", async () => {
    expect(JSON.stringify([transport.logs, await transport.events()])).not.toContain("Secret body");
  });
});

describe("health", () => {
  test("is 200 while it runs; readiness is 503 while it drains", async () => {
    expect(await get("/healthz")).toMatchObject({ status: 200 });
    expect(await get("/readyz")).toMatchObject({ status: 200, text: "ready\n" });
    expect(await get("/other")).toMatchObject({ status: 404 });
    expect(await client.say("MAIL FROM:<eve@fabrikam.example>")).toMatch(/^250/);
    const restarted = transport.restart({ graceMs: 60_000 });
    await eventually(async () => (await get("/readyz")).status === 503);
    expect(await get("/healthz")).toMatchObject({ status: 200 });
    client.close();
    await restarted;
    expect(await get("/readyz")).toMatchObject({ status: 200 });
  });
});
