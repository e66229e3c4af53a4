/**
 * Facts about Postfix before and behind a transport.
 *
 * Mail for contoso.example takes the way client -> Postroom -> Postfix -> sink, mail for mailboxes.example the way
 * client -> Postfix -> Postroom -> sink: one transport, one Postfix on each side.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Folder, temporaryFolder } from "../../bench/processes.ts";
import { testAuthority, testCertificate } from "../helpers/certificate.ts";
import { needs } from "../helpers/debian.ts";
import { eventually } from "../helpers/eventually.ts";
import { freePort } from "../helpers/free-port.ts";
import { type Postfix, startPostfix } from "../helpers/postfix.ts";
import { run } from "../helpers/run.ts";
import { type Sink, type SinkMessage, startSink } from "../helpers/sink.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { startTestTransport, type TestTransport } from "../helpers/transport.ts";
import { authoritySecret, tlsSecret } from "./secrets.ts";

const ready = await needs("postfix");

const manifests = (inbound: number, behind: number, sink: number) => `
apiVersion: postroom.dev/v1alpha1
kind: MailTransport
metadata: {name: hub}
spec: {hostname: mx.contoso.example, queue: {retryIntervals: [1s]}}
---
apiVersion: postroom.dev/v1alpha1
kind: ReceiveConnector
metadata: {name: inbound}
spec:
  bindings: [{address: 127.0.0.1, port: ${inbound}}]
  remoteIPRanges: [127.0.0.1]
  permissionGroups: [AnonymousUsers, Relay]
  tls: {certificateRefs: [{name: mx}]}
  maxInboundConnectionPerSource: 100
  tarpitInterval: 0s
---
apiVersion: postroom.dev/v1alpha1
kind: AcceptedDomain
metadata: {name: ours}
spec: {domains: [contoso.example, mailboxes.example]}
---
apiVersion: postroom.dev/v1alpha1
kind: SendConnector
metadata: {name: postfix}
spec:
  addressSpaces: [{domain: "*"}]
  routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${behind}}]}
  tls: {mode: None}
---
apiVersion: postroom.dev/v1alpha1
kind: SendConnector
metadata: {name: secured}
spec:
  addressSpaces: [{domain: secured.example}]
  routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${behind}}]}
  tls: {mode: VerifyName, serverName: postfix.peer.example, caRef: {name: authority}}
---
apiVersion: postroom.dev/v1alpha1
kind: SendConnector
metadata: {name: mistrusted}
spec:
  addressSpaces: [{domain: mistrusted.example}]
  routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${behind}}]}
  tls: {mode: VerifyName, serverName: other.peer.example, caRef: {name: authority}}
---
apiVersion: postroom.dev/v1alpha1
kind: SendConnector
metadata: {name: mailboxes}
spec:
  addressSpaces: [{domain: mailboxes.example}]
  routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${sink}}]}
  tls: {mode: None}
`;

describe.skipIf(!ready)("Postfix", () => {
  let sink: Sink;
  let transport: TestTransport;
  let inbound: number;
  let before: Postfix;
  let keys: Folder;
  let behind: Postfix;

  beforeAll(async () => {
    // "late@" is what a server behind Postfix refuses: Postfix has taken it by then and must report itself.
    sink = await startSink({
      script: ({ verb, argument }) =>
        verb === "RCPT" && argument.includes("<late@") ? "550 5.1.1 No such user" : undefined,
    });
    inbound = await freePort();
    const pair = await testCertificate("postfix.peer.example");
    keys = temporaryFolder();
    const chain = keys.write("postfix.pem", `${pair.key}${pair.cert}`);
    [behind, before] = await Promise.all([
      startPostfix({
        nextHopPort: sink.port,
        settings: [
          "relay_domains = contoso.example",
          "relay_recipient_maps = inline:{ann@contoso.example=x, bob@contoso.example=x}",
          "smtpd_reject_unlisted_recipient = yes",
          "smtpd_tls_security_level = may",
          "smtpd_tls_received_header = yes",
          `smtpd_tls_chain_files = ${chain}`,
        ],
      }),
      startPostfix({
        nextHopPort: inbound,
        settings: ["smtp_tls_security_level = encrypt", "message_size_limit = 52428800"],
      }),
    ]);
    transport = await startTestTransport({
      manifests: {
        "all.yaml": manifests(inbound, behind.port, sink.port),
        "tls.yaml": tlsSecret("mx", await testCertificate("mx.contoso.example")),
        "authority.yaml": authoritySecret("authority", await testAuthority()),
      },
    });
  });
  beforeEach(() => void sink.messages.splice(0));
  afterAll(async () => {
    await Promise.all([before?.stop(), transport?.stop(), behind?.stop()]);
    await sink?.close();
    keys?.remove();
  });

  /** Waits for a message for this recipient at the sink. */
  const arrived = (recipient: string, timeoutMs = 40_000): Promise<SinkMessage> =>
    eventually(
      () => sink.messages.find(({ recipients }) => recipients.some(({ address }) => address === recipient)),
      timeoutMs,
    );

  test("takes 200 messages of smtp-source in 10 sessions from the transport, and none is missing", async () => {
    const { status, output } = await run("smtp-source", [
      ...["-s", "10", "-m", "200", "-l", "4096", "-S", "load"],
      ...["-f", "load@source.example", "-t", "ann@contoso.example", `inet:127.0.0.1:${inbound}`],
    ]);
    expect({ status, output }).toMatchObject({ status: 0 });
    await sink.messagesReach(200);
    const ids = sink.messages.map(({ content }) => /^Message-Id: .*$/im.exec(content.toString())?.[0]);
    expect(new Set(ids).size).toBe(200);
    const [first] = sink.messages;
    expect(first?.sender).toBe("load@source.example");
    expect(first?.content.toString()).toMatch(
      /^Received: from mx\.contoso\.example .*by postfix\.peer\.example \(Postfix\).*^Received: from .* by mx\.contoso\.example \(Postroom\)/ms,
    );
  });

  test("whose certificate bears the name that the connector demands gets mail by TLS 1.3", async () => {
    const client = await openDialogue({ port: inbound });
    const content = "Subject: secured\r\n\r\nx\r\n";
    const answer = await client.send("eve@fabrikam.example", ["ann@secured.example"], content);
    client.close();
    expect(answer).toMatch(/^250/);
    const message = await arrived("ann@secured.example");
    expect(message.content.toString()).toMatch(
      /^Received: from mx\.contoso\.example .*\r\n\s+\(using TLSv1\.3 /,
    );
  });

  test("whose certificate bears another name gets nothing: the message waits", async () => {
    const client = await openDialogue({ port: inbound });
    const content = "Subject: mistrusted\r\n\r\nx\r\n";
    const answer = await client.send("eve@fabrikam.example", ["ann@mistrusted.example"], content);
    client.close();
    expect(answer).toMatch(/^250/);
    const deferred = await eventually(async () =>
      (await transport.events()).find(
        ({ event, recipients }) =>
          event === "DEFER" && JSON.stringify(recipients).includes("mistrusted.example"),
      ),
    );
    expect(JSON.stringify(deferred)).toMatch(/4\.7\.\d/);
    expect(sink.messages.flatMap(({ recipients }) => recipients)).toEqual([]);
  });

  test("that relays through the transport uses STARTTLS and TLS 1.3", async () => {
    const client = await openDialogue({ port: before.port });
    const answer = await client.send(
      "eve@fabrikam.example",
      ["tls@mailboxes.example"],
      "Subject: tls\r\n\r\nx\r\n",
    );
    client.close();
    expect(answer).toMatch(/^250/);
    const { content } = await arrived("tls@mailboxes.example");
    expect(content.toString()).toMatch(
      /Received: from postfix\.peer\.example \(\[127\.0\.0\.1\]\)\r\n by mx\.contoso\.example \(Postroom\) with ESMTPS \(TLSv1\.3 /,
    );
    expect(before.log()).toMatch(/relay=127\.0\.0\.1.* dsn=2\.6\.0, status=sent/);
  });

  test("hands 8-bit and SMTPUTF8 mail over unchanged", async () => {
    const text =
      "Subject: Grüße\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSchöne Grüße aus Zürich\r\n";
    const client = await openDialogue({ port: before.port });
    expect(await client.say("MAIL FROM:<jörg@fabrikam.example> SMTPUTF8 BODY=8BITMIME")).toMatch(/^250/);
    expect(await client.say("RCPT TO:<andré@mailboxes.example>")).toMatch(/^250/);
    expect(await client.say("DATA")).toMatch(/^354/);
    client.write(`${text}.\r\n`);
    expect(await client.reply()).toMatch(/^250/);
    client.close();
    const message = await arrived("andré@mailboxes.example");
    expect(message.sender).toBe("jörg@fabrikam.example");
    expect(message.parameters).toMatch(/SMTPUTF8/);
    expect(message.parameters).toMatch(/BODY=8BITMIME/);
    expect(message.content.toString()).toContain("Subject: Grüße\r\n");
    expect(message.content.toString()).toMatch(/by mx\.contoso\.example \(Postroom\) with UTF8SMTPS/);
    expect(message.content.toString().endsWith("Schöne Grüße aus Zürich\r\n")).toBe(true);
  });

  test("hands a message of 10 MiB over, every octet of it", async () => {
    const body = `${"0123456789".repeat(7)}\r\n`.repeat(Math.ceil((10 * 1024 * 1024) / 72));
    const client = await openDialogue({ port: before.port });
    const content = `Subject: big\r\n\r\n${body}`;
    expect(await client.send("eve@fabrikam.example", ["big@mailboxes.example"], content)).toMatch(/^250/);
    client.close();
    const message = await arrived("big@mailboxes.example", 40_000);
    const received = message.content.subarray(message.content.indexOf("\r\n\r\n") + 4);
    expect(received.equals(Buffer.from(body))).toBe(true);
  });

  test("sees its DSN parameters reach the next server", async () => {
    const client = await openDialogue({ port: before.port });
    await client.say("MAIL FROM:<eve@fabrikam.example> RET=HDRS ENVID=QQ314159");
    await client.say(
      "RCPT TO:<dsn@mailboxes.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first@elsewhere.example",
    );
    await client.say("DATA");
    client.write("Subject: dsn\r\n\r\nx\r\n.\r\n");
    expect(await client.reply()).toMatch(/^250/);
    client.close();
    const { parameters, recipients } = await arrived("dsn@mailboxes.example");
    expect(parameters).toMatch(/RET=HDRS/);
    expect(parameters).toMatch(/ENVID=QQ314159/);
    expect(recipients[0]?.parameters).toMatch(/NOTIFY=(SUCCESS,FAILURE|FAILURE,SUCCESS)/);
    expect(recipients[0]?.parameters).toMatch(/ORCPT=rfc822;first@elsewhere\.example/);
  });

  test("that refuses an unlisted recipient brings a DSN to the sender; the listed one gets the mail", async () => {
    const client = await openDialogue({ port: inbound });
    const to = ["bob@contoso.example", "nobody@contoso.example"];
    const content = "Subject: unlisted\r\nMessage-Id: <unlisted@fabrikam.example>\r\n\r\nx\r\n";
    expect(await client.send("sam@mailboxes.example", to, content)).toMatch(/^250/);
    client.close();
    await arrived("bob@contoso.example");
    const report = await arrived("sam@mailboxes.example");
    const text = report.content.toString().replaceAll("\r\n ", " ");
    expect(report.sender).toBe("");
    expect(text).toMatch(/Final-Recipient: rfc822; ?nobody@contoso\.example/i);
    expect(text).toMatch(/Action: failed/i);
    expect(text).toMatch(/Status: 5\.1\.1/);
    expect(text).toMatch(/Remote-MTA: dns; ?\[127\.0\.0\.1\]/i);
    expect(text).toMatch(
      /Diagnostic-Code: smtp; ?550 5\.1\.1 <nobody@contoso\.example>: Recipient address rejected/i,
    );
    expect(text).toContain("<unlisted@fabrikam.example>");
    expect(text).not.toMatch(/Final-Recipient: .*bob@/i);
  });

  test("that reports by itself sends its DSN through the transport to the sender", async () => {
    const client = await openDialogue({ port: before.port });
    const content = "Subject: late\r\n\r\nx\r\n";
    expect(await client.send("tom@mailboxes.example", ["late@mailboxes.example"], content)).toMatch(/^250/);
    client.close();
    const report = await arrived("tom@mailboxes.example");
    expect(report.sender).toBe("");
    expect(report.content.toString()).toMatch(/Final-Recipient: rfc822; ?late@mailboxes\.example/i);
  });
});
