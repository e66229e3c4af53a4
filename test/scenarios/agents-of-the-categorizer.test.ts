/** Facts about agents at the categorizer's events: what they see, and what becomes of a message they judge. */
import { afterEach, describe, expect, test } from "vitest";
import { reply } from "../../mail/reply.ts";
import type { Agent, AgentHandlers } from "../../transport/agents/mod.ts";
import { eventually } from "../helpers/eventually.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, OUTSIDE, startTestTransport, type TestTransport } from "../helpers/transport.ts";

const MESSAGE =
  'Subject: hello\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHi.\r\n--b\r\nContent-Type: text/plain; name="a.txt"\r\n\r\na\r\n--b--\r\n';

let transport: TestTransport | undefined;
afterEach(async () => {
  await transport?.stop();
  transport = undefined;
});

/** A transport whose only agent is this one, under the key of a built-in agent. */
async function startWith(
  handlers: AgentHandlers,
  domain = "{domains: [contoso.example]}",
  { agentTimeout = "1m", messageExpiration = "2m" } = {},
) {
  const agent: Agent<unknown> = {
    key: "senderFilter",
    name: "Test Agent",
    antispam: false,
    create: () => handlers,
  };
  const manifest = BASIC.replace(
    "{hostname: mx.contoso.example}",
    `{hostname: mx.contoso.example, queue: {retryIntervals: [200ms], messageExpiration: ${messageExpiration}}, limits: {agentTimeout: ${agentTimeout}}, agents: [{senderFilter: {}}]}`,
  ).replace("spec: {domains: [contoso.example]}", `spec: ${domain}`);
  transport = await startTestTransport({
    manifests: { "all.yaml": manifest, "outside.yaml": OUTSIDE },
    agents: [agent],
  });
  return transport;
}

async function sendTo(...to: string[]): Promise<string> {
  const client = await openDialogue({ port: transport?.port() ?? 0 });
  const answer = await client.send("eve@fabrikam.example", to, MESSAGE);
  client.close();
  return answer;
}

const inDrop = (t: TestTransport, folder: string) =>
  eventually(async () => {
    const found = await t.dropped(folder);
    return found.length > 0 ? found : undefined;
  });
const tracked = (t: TestTransport, event: string) =>
  eventually(async () => {
    const found = (await t.events()).filter((line) => line.event === event);
    return found.length > 0 ? found : undefined;
  });

describe("an agent of the categorizer", () => {
  test("that is slow with one message holds up no other", async () => {
    let release = () => {};
    const gate = new Promise<undefined>((resolve) => {
      release = () => resolve(undefined);
    });
    const isSlow = ({ localPart }: { localPart: string }) => localPart === "slow";
    const t = await startWith({
      onSubmitted: ({ recipients }) => (recipients.some(({ address }) => isSlow(address)) ? gate : undefined),
    });
    await sendTo("slow@contoso.example");
    for (let n = 0; n < 3; n += 1) await sendTo("ann@contoso.example");
    await eventually(async () => (await t.dropped("mailboxes")).length === 3);
    release();
    await eventually(async () => (await t.dropped("mailboxes")).length === 4);
  });

  test("sees all four events in order, with the attachments although no rule asked for them", async () => {
    const seen: string[] = [];
    const t = await startWith({
      async onSubmitted({ mime }) {
        seen.push(`submitted ${(await mime()).parts.map(({ fileName }) => fileName).join()}`);
        return undefined;
      },
      onResolved: ({ recipients }) => void seen.push(`resolved ${recipients.length}`),
      onRouted: () => void seen.push("routed"),
      onCategorized: () => void seen.push("categorized"),
    });
    await sendTo("ann@contoso.example");
    await inDrop(t, "mailboxes");
    expect(seen).toEqual(["submitted ,a.txt", "resolved 1", "routed", "categorized"]);
  });

  test("that rejects fails every recipient with a DSN, also those that could not be resolved", async () => {
    const t = await startWith(
      {
        // Agents see our own DSNs too.
        onResolved: ({ message }) =>
          message.envelope.sender === null
            ? undefined
            : { action: "reject", reply: reply(550, "5.7.1", "Not this one") },
      },
      "{domains: [contoso.example], recipients: {validation: Reject, addresses: [ann@contoso.example]}}",
    );
    await sendTo("ann@contoso.example", "nobody@contoso.example");
    const [report = ""] = await inDrop(t, "outside");
    expect(report).toMatch(
      /Final-Recipient: rfc822; *ann@contoso\.example\s+Action: failed\s+Status: 5\.7\.1/,
    );
    expect(report).toMatch(/Final-Recipient: rfc822; *nobody@contoso\.example\s+Action: failed/);
    expect(await t.dropped("mailboxes")).toEqual([]);
  });

  test("that drops leaves a DROP and an AGENTINFO under the id of the message", async () => {
    const t = await startWith({ onSubmitted: () => ({ action: "drop", reason: "seen enough" }) });
    await sendTo("ann@contoso.example");
    const [dropped] = await tracked(t, "DROP");
    const [received] = await tracked(t, "RECEIVE");
    const [judged] = await tracked(t, "AGENTINFO");
    expect(dropped).toMatchObject({ text: "seen enough", networkMessageId: received?.networkMessageId });
    expect(judged).toMatchObject({
      agent: "Test Agent",
      agentEvent: "onSubmitted",
      verdict: "drop",
      networkMessageId: received?.networkMessageId,
    });
    expect(await t.dropped("mailboxes")).toEqual([]);
  });

  test("that quarantines keeps the message in the quarantine queue", async () => {
    const t = await startWith({ onRouted: () => ({ action: "quarantine", reason: "strange" }) });
    await sendTo("ann@contoso.example");
    const [placed] = await tracked(t, "TRANSFER");
    expect(placed).toMatchObject({ queue: "Quarantine", text: "strange" });
    expect(await t.dropped("mailboxes")).toEqual([]);
  });

  test("that defers for good lets the message expire in the submission queue, with a DSN", async () => {
    const t = await startWith(
      {
        onSubmitted: ({ message }) =>
          message.envelope.sender === null
            ? undefined
            : { action: "defer", reply: reply(450, "4.7.1", "Still thinking") },
      },
      undefined,
      { messageExpiration: "4s" },
    );
    await sendTo("ann@contoso.example");
    const [report = ""] = await inDrop(t, "outside");
    expect(report).toMatch(/Final-Recipient: rfc822; *ann@contoso\.example\s+Action: failed/);
    expect(report).toContain("450 4.7.1 Still thinking");
    expect(await t.dropped("mailboxes")).toEqual([]);
  });

  test.each([
    {
      name: "throws",
      fail: () => {
        throw new Error("broken agent");
      },
    },
    { name: "hangs", fail: () => new Promise<undefined>(() => {}) },
  ])("that $name defers the message, which is delivered once the agent works again", async ({ fail }) => {
    let runs = 0;
    const t = await startWith(
      {
        onSubmitted: () => {
          runs += 1;
          return runs <= 2 ? fail() : undefined;
        },
      },
      undefined,
      { agentTimeout: "300ms" },
    );
    expect(await sendTo("ann@contoso.example")).toMatch(/^250/);
    await inDrop(t, "mailboxes");
    expect(runs).toBe(3);
    const [deferred] = await tracked(t, "DEFER");
    expect(deferred?.text).toMatch(/451 4\.3\.0/);
    expect(t.logs.filter(({ msg }) => msg === "agent failed")[0]).toMatchObject({
      agent: "Test Agent",
      event: "onSubmitted",
    });
  });
});
