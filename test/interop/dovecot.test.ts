/** Facts about Dovecot as the mailbox server: mail reaches it by LMTP. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { needs } from "../helpers/debian.ts";
import { type Dovecot, startDovecot } from "../helpers/dovecot.ts";
import { eventually } from "../helpers/eventually.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, OUTSIDE, startTestTransport, type TestTransport } from "../helpers/transport.ts";

const ready = await needs("dovecot");

describe.skipIf(!ready)("Dovecot", () => {
  let dovecot: Dovecot;
  let transport: TestTransport;

  beforeAll(async () => {
    dovecot = await startDovecot(["ann@contoso.example"]);
    const routing = `{type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${dovecot.port}, protocol: LMTP}]}`;
    const all = BASIC.replace("{type: Drop, directory: mailboxes}", routing);
    transport = await startTestTransport({ manifests: { "all.yaml": `${all}---${OUTSIDE}` } });
  });
  afterAll(async () => {
    await transport?.stop();
    await dovecot?.stop();
  });

  test("keeps the accepted recipient's copy with Return-Path and our Received, and the refused one is reported", async () => {
    const client = await openDialogue({ port: transport.port() });
    const to = ["ann@contoso.example", "nobody@contoso.example"];
    const content = "From: eve@fabrikam.example\r\nSubject: lmtp\r\n\r\n.dots\r\nGr\u00fc\u00dfe\r\n";
    expect(await client.say("MAIL FROM:<eve@fabrikam.example> BODY=8BITMIME")).toMatch(/^250/);
    for (const recipient of to) expect(await client.say(`RCPT TO:<${recipient}>`)).toMatch(/^250/);
    expect(await client.say("DATA")).toMatch(/^354/);
    client.write(`${content.replace("\r\n.dots", "\r\n..dots")}.\r\n`);
    expect(await client.reply()).toMatch(/^250/);
    client.close();

    const mail = await eventually(() => dovecot.mails("ann@contoso.example")[0]);
    expect(mail).toMatch(/^Return-Path: <eve@fabrikam\.example>\r?\n/m);
    expect(mail).toMatch(/^Delivered-To: ann@contoso\.example\r?\n/m);
    expect(mail).toMatch(
      /^Received: from client\.example \(\[127\.0\.0\.1\]\)\r?\n by mx\.contoso\.example \(Postroom\)/m,
    );
    expect(Buffer.from(mail, "latin1").toString().replaceAll("\r\n", "\n")).toMatch(/\n\n\.dots\nGrüße\n$/);

    const [report = ""] = await eventually(async () => {
      const found = await transport.dropped("outside");
      return found.length > 0 ? found : undefined;
    });
    expect(report).toContain("X-Receiver: <eve@fabrikam.example>");
    expect(report).toMatch(/Final-Recipient: rfc822; ?nobody@contoso\.example/i);
    expect(report).toMatch(/Status: 5\.1\.1/);
    expect(report).toMatch(/Diagnostic-Code: smtp; ?550 5\.1\.1 /i);
    expect(report).not.toMatch(/Final-Recipient: .*ann@/i);
    expect(dovecot.mails("nobody@contoso.example")).toEqual([]);
  });

  test("says delivered, so that a success DSN answers who asked for it", async () => {
    const client = await openDialogue({ port: transport.port() });
    await client.say("MAIL FROM:<sam@fabrikam.example> RET=HDRS ENVID=lmtp-1");
    await client.say("RCPT TO:<ann@contoso.example> NOTIFY=SUCCESS");
    await client.say("DATA");
    client.write("Subject: success\r\n\r\nx\r\n.\r\n");
    expect(await client.reply()).toMatch(/^250/);
    client.close();
    const report = await eventually(async () =>
      (await transport.dropped("outside")).find((one) => one.includes("X-Receiver: <sam@fabrikam.example>")),
    );
    expect(report).toMatch(/Original-Envelope-Id: lmtp-1/i);
    expect(report).toMatch(/Action: delivered/i);
  });
});
