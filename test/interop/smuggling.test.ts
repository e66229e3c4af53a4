/** Facts about SMTP smuggling with Postfix as the server behind: what the two could read differently never reaches it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { needs } from "../helpers/debian.ts";
import { eventually } from "../helpers/eventually.ts";
import { type Postfix, startPostfix } from "../helpers/postfix.ts";
import { type Sink, startSink } from "../helpers/sink.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, startTestTransport, type TestTransport } from "../helpers/transport.ts";

const ready = await needs("postfix");

const STRANGER = "127.0.0.1";
const DEVICE = "127.0.0.9";
const HIDDEN = [
  "MAIL FROM:<evil@fabrikam.example>",
  "RCPT TO:<ann@contoso.example>",
  "DATA",
  "Subject: smuggled",
  "",
  "last line",
  "",
].join("\r\n");

/** Ends of a message that some servers see and others do not. */
const SEAMS = [
  { name: "LF . LF", seam: "\n.\n" },
  { name: "LF . CRLF", seam: "\n.\r\n" },
  { name: "CRLF . LF", seam: "\r\n.\n" },
  { name: "CR . CR", seam: "\r.\r" },
  { name: "CR . CRLF", seam: "\r.\r\n" },
  { name: "CRLF . CR", seam: "\r\n.\r" },
  { name: "CR CRLF . CR CRLF", seam: "\r\r\n.\r\r\n" },
];

describe.skipIf(!ready)("Postfix", () => {
  let sink: Sink;
  let postfix: Postfix;
  let transport: TestTransport;

  beforeAll(async () => {
    sink = await startSink();
    postfix = await startPostfix({ nextHopPort: sink.port });
    const routing = `{type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${postfix.port}}]}`;
    const all = BASIC.replace("{type: Drop, directory: mailboxes}", routing).replace(
      "  tarpitInterval: 0s",
      `  tarpitInterval: 0s\n  bareLinefeedNormalizationRanges: [${DEVICE}]`,
    );
    transport = await startTestTransport({ manifests: { "all.yaml": all } });
  });
  beforeEach(() => void sink.messages.splice(0));
  afterAll(async () => {
    await Promise.all([transport?.stop(), postfix?.stop()]);
    await sink?.close();
  });

  /** Sends content in one transaction, a NOOP right behind it; both replies. */
  async function send(localAddress: string, sender: string, content: string): Promise<readonly string[]> {
    const client = await openDialogue({ port: transport.port(), localAddress });
    await client.say(`MAIL FROM:<${sender}>`);
    await client.say("RCPT TO:<ann@contoso.example>");
    await client.say("DATA");
    client.write(`${content}.\r\nNOOP\r\n`);
    const replies = [await client.reply(), await client.reply()];
    client.close();
    return replies;
  }

  const marker = () => send(STRANGER, "marker@fabrikam.example", "Subject: marker\r\n\r\nx\r\n");
  /** Senders at the sink once the marker is there. */
  const senders = async () => {
    await eventually(() => sink.messages.some(({ sender }) => sender === "marker@fabrikam.example"));
    return sink.messages.map(({ sender }) => sender);
  };

  const contentWith = (seam: string) => `Subject: seam\r\n\r\nfirst line${seam}${HIDDEN}`;

  test.each([...SEAMS, { name: "CRLF NUL . CRLF", seam: "\r\n\0.\r\n" }])(
    "gets nothing of a stranger's message with $name and commands in it",
    async ({ seam }) => {
      const [answer, next] = await send(STRANGER, "eve@fabrikam.example", contentWith(seam));
      expect(answer).toMatch(/^550 5\.6\.\d+ /);
      expect(next).toMatch(/^250 2\.0\.0 /);
      await marker();
      expect(await senders()).toEqual(["marker@fabrikam.example"]);
    },
  );

  test.each(SEAMS)(
    "gets one message of a device that writes $name and commands: its line ends are mended",
    async ({ seam }) => {
      const [answer, next] = await send(DEVICE, "device@contoso.example", contentWith(seam));
      expect(answer).toMatch(/^250 2\.6\.0 /);
      expect(next).toMatch(/^250 2\.0\.0 /);
      await eventually(() => sink.messages.length === 1);
      const text = sink.messages[0]?.content.toString() ?? "";
      expect(text).toContain("first line\r\n");
      expect(text.endsWith(`\r\n${HIDDEN}`)).toBe(true);
      expect(text).not.toMatch(/[^\r]\n|\r[^\n]/);
      await marker();
      expect(await senders()).toEqual(["device@contoso.example", "marker@fabrikam.example"]);
    },
  );
});
