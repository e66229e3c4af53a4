/** Facts about signed mail (RFC 6376): what no rule changes comes out of two hops as it went in, so its signature holds. */
import { createHash, generateKeyPairSync, sign, verify } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Sink, startSink } from "../helpers/sink.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, startTestTransport, type TestTransport } from "../helpers/transport.ts";

const KEYS = generateKeyPairSync("ed25519");
const SIGNATURE = "DKIM-Signature: v=1; a=ed25519-sha256; c=simple/simple;\r\n\td=fabrikam.example; bh=";

const to = (port: number, protocol = "SMTP") =>
  BASIC.replace(
    "routing: {type: Drop, directory: mailboxes}",
    `routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${port}, protocol: ${protocol}}]}\n  tls: {mode: None}`,
  );

let sink: Sink;
let near: TestTransport;
let far: TestTransport;
beforeAll(async () => {
  sink = await startSink({ lmtp: true });
  far = await startTestTransport({ manifests: { "all.yaml": to(sink.port, "LMTP") } });
  near = await startTestTransport({ manifests: { "all.yaml": to(far.port()) } });
});
afterAll(async () => {
  await near.stop();
  await far.stop();
  await sink.close();
});

/** RFC 6376 §3.4.3: empty lines at the end count as none, nothing else is forgiven. */
function bodyHash(body: Buffer): string {
  const simple = `${body.toString("latin1").replace(/(?:\r\n)*$/, "")}\r\n`;
  return createHash("sha256").update(simple, "latin1").digest("base64");
}

/** RFC 6376 §3.4.1: the octets of the header as they stand, then the signature's own field without b. */
function signed(header: string, body: Buffer): Buffer {
  const field = `${SIGNATURE}${bodyHash(body)}; b=`;
  const value = sign(null, Buffer.from(header + field, "latin1"), KEYS.privateKey).toString("base64");
  return Buffer.concat([Buffer.from(`${field}${value}\r\n${header}\r\n`, "latin1"), body]);
}

function holds(message: Buffer): boolean {
  const text = message.toString("latin1");
  const end = text.indexOf("\r\n\r\n");
  const start = text.indexOf(SIGNATURE);
  const [field = "", hash, value = ""] =
    /^DKIM.*\r\n\t.* bh=(\S+); b=(\S+)\r\n/.exec(text.slice(start)) ?? [];
  const octets = text.slice(start + field.length, end + 2) + field.slice(0, -value.length - 2);
  if (hash !== bodyHash(message.subarray(end + 4))) return false;
  return verify(null, Buffer.from(octets, "latin1"), KEYS.publicKey, Buffer.from(value, "base64"));
}

const HEADER =
  "From:Eve <eve@fabrikam.example>\r\nX-Spaced : a  b \t\r\nSubject:  two\r\n\tfolds \r\n  here  \r\n";
const ROWS = [
  { name: "plain text with dots and trailing spaces", body: ".\r\n..two  \r\n.three\t\r\n" },
  { name: "an empty body", body: "" },
  { name: "empty lines at the end", body: "x\r\n\r\n\r\n" },
  { name: "8-bit header and body that is not UTF-8", header: "X-8: \xe9\xff\r\n", body: "h\xe9\xff\r\n" },
  { name: "a long message", body: ".a line \xe9 of many  \r\n".repeat(20_000) },
  { name: "lines of 998 octets", header: `X-Long: ${"h".repeat(990)}\r\n`, body: `${"b".repeat(998)}\r\n` },
  {
    name: "empty, resent and repeated fields",
    header: "X-E:\r\nResent-Bcc: q@x\r\nBcc: s@x\r\nX-E:\r\n",
    body: "x\r\n",
  },
];

test.each(
  ROWS.flatMap((row) => [
    { ...row, verb: "DATA" },
    { ...row, verb: "BDAT" },
  ]),
)("the signature of $name holds after two hops ($verb)", async ({ header = "", body, verb }) => {
  const message = signed(HEADER + header, Buffer.from(body, "latin1"));
  const client = await openDialogue({ port: near.port() });
  const before = sink.messages.length;
  await client.say("MAIL FROM:<eve@fabrikam.example> BODY=8BITMIME");
  await client.say("RCPT TO:<ann@contoso.example>");
  if (verb === "DATA") {
    expect(await client.say("DATA")).toMatch(/^354/);
    client.write(Buffer.from(`${message.toString("latin1").replace(/^\./gm, "..")}.\r\n`, "latin1"));
  } else {
    client.write(Buffer.concat([Buffer.from(`BDAT ${message.length} LAST\r\n`), message]));
  }
  expect(await client.reply()).toMatch(/^250/);
  client.close();
  await sink.messagesReach(before + 1);
  const arrived = sink.messages[before]?.content ?? Buffer.alloc(0);
  expect(holds(arrived)).toBe(true);
  expect(arrived.subarray(-message.length).equals(message)).toBe(true);
  expect(holds(Buffer.from(arrived.toString("latin1").replace("Eve", "Eva"), "latin1"))).toBe(false);
});
