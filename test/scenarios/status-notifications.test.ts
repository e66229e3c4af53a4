/** Facts about delivery status notifications (RFC 3461, 3464): who gets which, and what they say. */
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

/** A next hop that refuses everybody whose name begins with "bad". */
async function start(options: SinkOptions = {}, role = "Hub") {
  sink = await startSink({
    script: ({ verb, argument }) =>
      verb === "RCPT" && argument.includes("<bad") ? "550 5.1.1 no such mailbox" : undefined,
    ...options,
  });
  const manifest = BASIC.replace(
    "routing: {type: Drop, directory: mailboxes}",
    `routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${sink.port}}]}\n  tls: {mode: None}`,
  ).replace("hostname: mx.contoso.example", `hostname: mx.contoso.example, role: ${role}`);
  transport = await startTestTransport({ manifests: { "all.yaml": manifest, "outside.yaml": OUTSIDE } });
  return { t: transport, s: sink };
}

/** One message; recipients with their parameters, "ann NOTIFY=NEVER". */
async function send(recipients: readonly string[], { sender = "eve@fabrikam.example", mail = "" } = {}) {
  const client = await openDialogue({ port: transport?.port() ?? 0 });
  expect(await client.say(`MAIL FROM:<${sender}>${mail}`)).toMatch(/^250/);
  for (const recipient of recipients) {
    const [name, ...parameters] = recipient.split(" ");
    const line = [`RCPT TO:<${name}@contoso.example>`, ...parameters].join(" ");
    expect(await client.say(line)).toMatch(/^250/);
  }
  await client.say("DATA");
  client.write("Subject: secret plans\r\nMessage-ID: <1@fabrikam.example>\r\n\r\nThe body.\r\n.\r\n");
  expect(await client.reply()).toMatch(/^250/);
  client.close();
}

const reports = (t: TestTransport, count: number) =>
  eventually(async () => {
    const found = await t.dropped("outside");
    return found.length >= count ? found : undefined;
  });
const failures = (t: TestTransport, count: number) =>
  eventually(async () => (await t.events()).filter(({ event }) => event === "FAIL").length === count);

describe("a report of failure", () => {
  test("speaks of the recipients that asked for it, with ENVID and ORCPT decoded, and the header only", async () => {
    const { t } = await start();
    await send(
      [
        "bad1",
        "bad2 NOTIFY=NEVER",
        "bad3 NOTIFY=SUCCESS",
        "bad4 NOTIFY=FAILURE,DELAY ORCPT=rfc822;old+2Bname@else.example",
      ],
      { mail: " RET=HDRS ENVID=order+2B66" },
    );
    await failures(t, 4);
    const [report = ""] = await reports(t, 1);
    expect(report).toContain("X-Sender: <>");
    expect(report).toMatch(/^Content-Type: multipart\/report; *\r?\n?\s*report-type=delivery-status/im);
    expect(report).toContain("Original-Envelope-Id: order+66");
    expect(report).toContain("Reporting-MTA: dns; mx.contoso.example");
    expect(report).toMatch(
      /Original-Recipient: rfc822; *old\+name@else\.example\s+Final-Recipient: rfc822; *bad4@/,
    );
    expect(report).toMatch(/Diagnostic-Code: smtp; *550 5\.1\.1 no such mailbox/);
    expect(report.match(/^Action: failed/gm)).toHaveLength(2);
    expect(report.match(/^Remote-MTA: dns; \[127\.0\.0\.1\]\r$/gm)).toHaveLength(2);
    expect(report.match(/^Last-Attempt-Date: \w{3}, \d\d \w{3} \d{4} /gm)).toHaveLength(2);
    expect(report).not.toMatch(/bad[23]@/);
    expect(report).toContain("Content-Type: text/rfc822-headers");
    expect(report).toContain("In-Reply-To: <1@fabrikam.example>");
    expect(report).not.toContain("The body.");
    expect(await t.dropped("outside")).toHaveLength(1);
  });

  test("carries the whole message for RET=FULL", async () => {
    const { t } = await start();
    await send(["bad"], { mail: " RET=FULL" });
    const [report = ""] = await reports(t, 1);
    expect(report).toContain("Content-Type: message/rfc822");
    expect(report).toContain("The body.");
  });

  test.each(["Hub", "Edge"])(
    "can be answered: at our own name lives postmaster, and nobody else (%s)",
    async (role) => {
      const { t, s } = await start({}, role);
      const client = await openDialogue({ port: t.port() });
      const at = (name: string) =>
        client.send("eve@fabrikam.example", [`${name}@MX.contoso.example`], "\r\nWhy?\r\n");
      expect(await at("ann")).toBe("550 5.7.1 Unable to relay");
      expect(await client.say("RSET")).toMatch(/^250/);
      expect(await at("Postmaster")).toMatch(/^250/);
      await s.messagesReach(1);
      expect(s.messages[0]?.recipients[0]?.address).toBe("postmaster@contoso.example");
      client.close();
    },
  );

  test("is never sent to the null sender", async () => {
    const { t } = await start();
    await send(["bad"], { sender: "" });
    await failures(t, 1);
    expect((await t.events()).some(({ event }) => event === "DSN")).toBe(false);
  });
});

describe("a report of success", () => {
  test("says relayed where the next hop has no DSN, for who asked for it", async () => {
    const { t, s } = await start({ extensions: ["PIPELINING", "8BITMIME"] });
    await send(["ann NOTIFY=SUCCESS", "bob"]);
    await s.messagesReach(1);
    const [report = ""] = await reports(t, 1);
    expect(report).toMatch(/Final-Recipient: rfc822; *ann@contoso\.example\s+Action: relayed/);
    expect(report).not.toContain("bob@");
  });

  test("is left to a next hop that has DSN, which is told all that the sender asked", async () => {
    const { t, s } = await start();
    await send(["ann NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@else.example", "bob NOTIFY=NEVER"], {
      mail: " RET=HDRS ENVID=e1",
    });
    await eventually(() => s.messages.flatMap(({ recipients }) => recipients).length === 2);
    expect(
      s.messages.every(({ parameters }) => /RET=HDRS/.test(parameters) && /ENVID=e1/.test(parameters)),
    ).toBe(true);
    const told = s.messages.flatMap(({ recipients }) =>
      recipients.map((r) => `${r.address} ${r.parameters}`),
    );
    expect(told.find((line) => line.startsWith("ann"))).toMatch(
      /NOTIFY=SUCCESS,FAILURE.*ORCPT=rfc822;a@else\.example/,
    );
    expect(told.find((line) => line.startsWith("bob"))).toContain("NOTIFY=NEVER");
    await eventually(async () => (await t.events()).filter(({ event }) => event === "SEND").length === 2);
    expect((await t.events()).some(({ event }) => event === "DSN")).toBe(false);
  });
});
