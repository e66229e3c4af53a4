/** Facts about the command line on a running transport: list, show, export, suspend, resume, retry, remove. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { postroom } from "../helpers/postroom.ts";
import { type Sink, startSink } from "../helpers/sink.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, OUTSIDE, startTestTransport, type TestTransport } from "../helpers/transport.ts";

const CONTENT = "Subject: hello\r\nX-Test: 1\r\n\r\nHi.\r\n..\r\n";

let transport: TestTransport;
let sink: Sink;
let isDown = true;
beforeEach(async () => {
  isDown = true;
  sink = await startSink({
    script: ({ verb }) => (isDown && verb === "RCPT" ? "451 4.3.0 not today" : undefined),
  });
  const manifest = BASIC.replace(
    "{hostname: mx.contoso.example}",
    "{hostname: mx.contoso.example, queue: {retryIntervals: [1h]}}",
  ).replace(
    "routing: {type: Drop, directory: mailboxes}",
    `routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${sink.port}}]}\n  tls: {mode: None}`,
  );
  transport = await startTestTransport({ manifests: { "all.yaml": manifest, "outside.yaml": OUTSIDE } });
});
afterEach(async () => {
  await transport.stop();
  await sink.close();
});

/** Sends a message that waits for its next try; its internal id. */
async function sendAndDefer(
  recipient = "ann@contoso.example",
  sender = "eve@fabrikam.example",
): Promise<string> {
  const client = await openDialogue({ port: transport.port() });
  const answer = await client.send(sender, [recipient], CONTENT);
  client.close();
  const [, id = ""] = /InternalId=([^\]]+)/.exec(answer) ?? [];
  await eventually(async () =>
    (await transport.events()).some((line) => line.event === "DEFER" && line.id === id),
  );
  return id;
}

const queue = (...args: readonly string[]) => postroom("queue", ...args, "--state", transport.state);
const rows = async (...args: readonly string[]): Promise<readonly Record<string, unknown>[]> =>
  JSON.parse((await queue("list", ...args, "-o", "json")).stdout);

describe("postroom queue", () => {
  test("lists, shows and exports what waits", async () => {
    const id = await sendAndDefer();
    expect(await rows()).toMatchObject([{ queue: "Delivery", messages: 1, retrying: 1 }]);
    expect(await rows("--messages")).toMatchObject([
      { id, status: "Retry", attempts: 1, lastError: expect.stringContaining("451 4.3.0 not today") },
    ]);
    expect(await rows("--sender", "nobody@fabrikam.example")).toEqual([]);
    const shown = JSON.parse((await queue("show", id)).stdout);
    expect(shown).toMatchObject({ id, queue: "Delivery", subject: "hello" });
    const exported = await queue("export", id);
    expect(exported.stdout).toMatch(/^Received: .*X-Test: 1\r\n\r\nHi\.\r\n\.\.\r\n$/s);
    const envelope = JSON.parse((await queue("export", id, "--envelope")).stdout);
    expect(envelope).toMatchObject({ sender: { localPart: "eve", domain: "fabrikam.example" } });
  });

  test("retries now; a suspended message stays until it is resumed", async () => {
    const id = await sendAndDefer();
    isDown = false;
    expect(await queue("suspend", "--id", id)).toMatchObject({ code: 0, stdout: "1 message\n" });
    expect(await rows("--messages")).toMatchObject([{ id, status: "Suspended" }]);
    expect((await queue("retry", "--id", id)).code).toBe(1);
    expect(sink.messages).toEqual([]);
    expect(await queue("resume", "--id", id)).toMatchObject({ code: 0 });
    await sink.messagesReach(1);
    isDown = true;
    const other = await sendAndDefer("bob@contoso.example");
    isDown = false;
    expect(await queue("retry", "--id", other)).toMatchObject({ code: 0 });
    await sink.messagesReach(2);
    await eventually(async () => (await rows("--messages")).length === 0);
  });

  test("retries a next hop that was down, and rests, at once", async () => {
    await sink.close();
    const id = await sendAndDefer();
    isDown = false;
    sink = await startSink({ port: sink.port });
    expect(await queue("retry", "--id", id)).toMatchObject({ code: 0, stdout: "1 message\n" });
    // Less than it rests.
    await sink.messagesReach(1, 30_000);
  });

  test("removes without a word, or with a DSN, which the null sender never gets", async () => {
    const silent = await sendAndDefer("ann@contoso.example");
    const told = await sendAndDefer("bob@contoso.example");
    const report = await sendAndDefer("cat@contoso.example", "");
    expect(await queue("remove", "--id", silent)).toMatchObject({ code: 0, stdout: "1 message\n" });
    expect(await queue("remove", "--id", told, report, "--with-dsn")).toMatchObject({
      code: 0,
      stdout: "2 messages\n",
    });
    const [dsn = ""] = await eventually(async () => {
      const found = await transport.dropped("outside");
      return found.length > 0 ? found : undefined;
    });
    expect(dsn).toMatch(/Final-Recipient: rfc822; *bob@contoso\.example\s+Action: failed\s+Status: 5\.7\.1/);
    await eventually(async () => (await rows("--messages")).length === 0);
    expect(await transport.dropped("outside")).toHaveLength(1);
    const failed = await eventually(async () => {
      const found = (await transport.events()).filter(({ event }) => event === "FAIL");
      return found.length === 3 ? found : undefined;
    });
    expect(failed.every(({ source }) => source === "ADMIN")).toBe(true);
  });

  test("asks for a name before it changes anything, and says when nothing was changed", async () => {
    expect(await queue("remove")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("Name the messages"),
    });
    expect(await queue("remove", "--id", "none")).toMatchObject({ code: 1, stdout: "0 messages\n" });
  });
});
