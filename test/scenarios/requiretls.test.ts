/** Facts about REQUIRETLS (RFC 8689): the sender's demand goes with the message, and no unproven next hop gets it. */
import { afterEach, describe, expect, test } from "vitest";
import { testAuthority, testCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { type Sink, type SinkOptions, startSink } from "../helpers/sink.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, OUTSIDE, startTestTransport, type TestTransport } from "../helpers/transport.ts";

let transport: TestTransport | undefined;
let sink: Sink | undefined;
afterEach(async () => {
  await transport?.stop();
  await sink?.close();
});

const DOOR = BASIC.replace(
  "  tarpitInterval: 0s",
  "  tarpitInterval: 0s\n  tls: {mode: Opportunistic, certificateRefs: [{name: mx-tls}]}",
);

const start = async (options: SinkOptions, tls: string) => {
  sink = await startSink({ certificate: await testCertificate("127.0.0.1"), ...options });
  const manifest = DOOR.replace(
    "routing: {type: Drop, directory: mailboxes}",
    `routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${sink.port}}]}\n  tls: ${tls}`,
  );
  const ca = { "ca.crt": (await testAuthority()).cert };
  transport = await startTestTransport({
    manifests: {
      "all.yaml": `${manifest}---${OUTSIDE}`,
      "ca.yaml": `apiVersion: v1\nkind: Secret\nmetadata: {name: ca}\nstringData: ${JSON.stringify(ca)}\n`,
    },
    selfSigned: true,
  });
  const client = await openDialogue({ port: transport.port() });
  expect(await client.startTls()).toContain("REQUIRETLS");
  expect(await client.say("MAIL FROM:<eve@fabrikam.example> REQUIRETLS")).toMatch(/^250/);
  await client.say("RCPT TO:<ann@contoso.example>");
  await client.say("DATA");
  client.write("Subject: x\r\n\r\nx\r\n.\r\n");
  expect(await client.reply()).toMatch(/^250/);
  client.close();
  return { sink, transport };
};
const PROVEN = "{mode: VerifyName, caRef: {name: ca}}";

describe("a message with REQUIRETLS", () => {
  test("goes on with REQUIRETLS to a next hop that proves its name and offers it", async () => {
    const { sink: s } = await start({ extensions: ["REQUIRETLS"] }, PROVEN);
    await s.messagesReach(1);
    expect(s.messages[0]).toMatchObject({ tls: true });
    expect(s.messages[0]?.parameters).toContain("REQUIRETLS");
  });

  test("bounces 5.7.30 when the next hop does not offer it", async () => {
    const { sink: s, transport: t } = await start({}, PROVEN);
    const [report = ""] = await eventually(async () => {
      const found = await t.dropped("outside");
      return found.length > 0 ? found : undefined;
    });
    expect(report).toMatch(/^Status: 5\.7\.30/m);
    expect(s.messages).toEqual([]);
  });

  test("waits when nobody vouches for the next hop, though the connector would not care", async () => {
    const { sink: s, transport: t } = await start({ extensions: ["REQUIRETLS"] }, "{mode: Opportunistic}");
    await eventually(async () =>
      (await t.events()).some(({ event, status }) => event === "DEFER" && status === "4.7.5"),
    );
    expect(s.messages).toEqual([]);
  });
});
