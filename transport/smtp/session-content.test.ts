import { afterEach, describe, expect, test } from "vitest";
import { addressKey } from "../../mail/address.ts";
import { reply } from "../../mail/reply.ts";
import {
  type Client,
  type Rig,
  type RigOptions,
  recipientsOf,
  startRig,
} from "../../test/helpers/session-rig.ts";

let rig: Rig | undefined;
afterEach(async () => {
  await rig?.stop();
  rig = undefined;
});

async function open(options: RigOptions = {}): Promise<{ rig: Rig; client: Client }> {
  const started = await startRig(options);
  rig = started;
  return { rig: started, client: await started.open() };
}

describe("PIPELINING", () => {
  test("everything in one packet, DATA body and next message included, keeps its order", async () => {
    const { client, rig: started } = await open();
    client.write(
      "EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBOGUS\r\nDATA\r\n..x\r\n.\r\n" +
        "MAIL FROM:<e@f>\r\nRCPT TO:<g@h>\r\nDATA\r\ny\r\n.\r\nQUIT\r\n",
    );
    const codes = (await client.rest()).match(/^\d{3} /gm)?.map(Number);
    expect(codes).toEqual([250, 250, 250, 500, 354, 250, 250, 250, 354, 250, 221]);
    expect(started.messages.map(({ content }) => content)).toEqual([".x\r\n", "y\r\n"]);
  });

  test("the same one octet at a time", async () => {
    const { client, rig: started } = await open();
    client.socket.setNoDelay(true);
    for (const octet of "EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n..x\r\n.\r\nQUIT\r\n") {
      client.write(octet);
      await new Promise(setImmediate);
    }
    expect((await client.rest()).match(/^\d{3} /gm)?.map(Number)).toEqual([250, 250, 250, 354, 250, 221]);
    expect(started.messages.map(({ content }) => content)).toEqual([".x\r\n"]);
  });

  test("a client that closes its half still gets its replies", async () => {
    const { client, rig: started } = await open({
      handler: { onRcpt: () => new Promise((resolve) => setTimeout(() => resolve(undefined), 20)) },
    });
    client.socket.end("EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n");
    expect(await client.rest()).toMatch(/250 2\.6\.0 Queued\r\n221 [^\n]*\n$/);
    expect(started.messages).toHaveLength(1);
  });
});

describe("CHUNKING", () => {
  const envelope = "EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n";
  const codes = (text: string) =>
    text
      .match(/^\d{3} /gm)
      ?.map(Number)
      .slice(3);
  test.each([
    { name: "one chunk", text: "BDAT 3 LAST\r\na\r\n", want: [250], content: "a\r\n" },
    {
      name: "several chunks, dots as they are, split inside CRLF",
      text: "BDAT 4\r\n..a\rBDAT 4\r\n\n.\r\nBDAT 0 LAST\r\n",
      want: [250, 250, 250],
      content: "..a\r\n.\r\n",
    },
    {
      name: "a command inside a chunk is content",
      text: "BDAT 6 LAST\r\nQUIT\r\n",
      want: [250],
      content: "QUIT\r\n",
    },
    {
      name: "DATA after BDAT is out of sequence",
      text: "BDAT 2\r\n\r\nDATA\r\nBDAT 0 LAST\r\n",
      want: [250, 503, 250],
      content: "\r\n",
    },
    {
      name: "RCPT after BDAT is out of sequence",
      text: "BDAT 2\r\n\r\nRCPT TO:<x@y>\r\nBDAT 0 LAST\r\n",
      want: [250, 503, 250],
      content: "\r\n",
    },
    {
      name: "a bare LF fails the chunk, and the next ones are swallowed",
      text: "BDAT 4\r\na\nb\nBDAT 6\r\nQUIT\r\nBDAT 0 LAST\r\nNOOP\r\n",
      want: [550, 503, 503, 250],
      content: undefined,
    },
    {
      name: "RSET gives the chunks up",
      text: "BDAT 3\r\na\r\nRSET\r\nBDAT 3 LAST\r\na\r\n",
      want: [250, 250, 503],
      content: undefined,
    },
    {
      name: "a size that is none cuts the session, since its octets cannot be told from commands",
      text: "BDAT x LAST\r\nNOOP\r\n",
      want: [501],
      content: undefined,
    },
  ])("$name", async ({ text, want, content }) => {
    const { client, rig: started } = await open();
    client.socket.end(`${envelope}${text}`);
    expect(codes(await client.rest())).toEqual(want);
    expect(started.messages.map((message) => message.content)).toEqual(
      content === undefined ? [] : [content],
    );
  });

  test("BINARYMIME passes every octet, and DATA is refused to it", async () => {
    const { client, rig: started } = await open();
    client.socket.end(
      "EHLO me\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\nDATA\r\nBDAT 5 LAST\r\n\0\n\r\r.QUIT\r\n",
    );
    expect(codes(await client.rest())).toEqual([503, 250, 221]);
    expect(started.messages.map(({ content }) => content)).toEqual(["\0\n\r\r."]);
  });

  test("without a transaction, or with CHUNKING off, the octets are swallowed all the same", async () => {
    const { client } = await open({ connector: { chunkingEnabled: false } });
    client.socket.end(`${envelope}BDAT 6 LAST\r\nQUIT\r\nRSET\r\nBDAT 6\r\nQUIT\r\nNOOP\r\n`);
    expect(codes(await client.rest())).toEqual([502, 250, 502, 250]);
  });

  test("onData refuses the first chunk once, and its octets are swallowed", async () => {
    const { client } = await open({ handler: { onData: () => ({ reply: reply(451, "4.7.1", "Later") }) } });
    client.socket.end(`${envelope}BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n`);
    expect(codes(await client.rest())).toEqual([451, 503, 250]);
  });
});

describe("the size limit", () => {
  const small: RigOptions = { connector: { maxMessageSize: 1000, tarpitIntervalMs: 0 } };
  const line = `${"x".repeat(98)}\r\n`;

  test("exactly the limit passes", async () => {
    const { client } = await open(small);
    client.write(`EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n${line.repeat(10)}.\r\nQUIT\r\n`);
    expect(await client.rest()).toContain("250 2.6.0 Queued");
  });

  test.each([
    { name: "DATA", text: `DATA\r\n${line.repeat(10)}x\r\n.\r\n` },
    { name: "BDAT", text: `BDAT 1001 LAST\r\n${line.repeat(10)}x` },
  ])("$name beyond it is aborted at once, swallowed, and answered at the end", async ({ text }) => {
    const { client, rig: started } = await open(small);
    client.write(`EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n${text}NOOP\r\nQUIT\r\n`);
    expect(await client.rest()).toMatch(
      /552 5\.3\.4 Message size exceeds the limit\r\n250 2\.0\.0 OK\r\n221/,
    );
    expect(started.events.slice(0, 3)).toEqual([
      "abort",
      expect.stringMatching(/^reject:(DATA|BDAT) 552$/),
      "reset",
    ]);
  });

  test.each([
    { name: "DATA", text: `DATA\r\n${line.repeat(200)}` },
    { name: "BDAT", text: `BDAT 20000 LAST\r\n${line.repeat(200)}` },
  ])("ten times the limit in $name cuts the session", async ({ text }) => {
    const { client } = await open(small);
    client.write(`EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n${text}`);
    expect(await client.rest()).toMatch(/552 5\.3\.4 Message size exceeds the limit\r\n$/);
  });
});

describe("bareLinefeedNormalizationRanges", () => {
  test("a client inside has its bare CR and LF turned into CRLF; the end is CRLF.CRLF all the same", async () => {
    const { client, rig: started } = await open({
      connector: { bareLinefeedNormalizationRanges: ["127.0.0.0/8"] },
    });
    client.write("EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\na\nb\rc\n.\nd\r\n.\r\nQUIT\r\n");
    await client.rest();
    expect(started.messages.map(({ content }) => content)).toEqual(["a\r\nb\r\nc\r\n.\r\nd\r\n"]);
  });
});

describe("the envelope", () => {
  test("carries what was said", async () => {
    const { client, rig: started } = await open();
    client.write(
      "EHLO me\r\nMAIL FROM:<@x.example:Ann@B.example> SIZE=5 BODY=8BITMIME RET=HDRS ENVID=q+2B1\r\n" +
        'RCPT TO:<"john doe"@d.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;j@d\r\nRCPT TO:<postmaster>\r\nDATA\r\n.\r\nQUIT\r\n',
    );
    await client.rest();
    const [message] = started.messages;
    expect(message?.transaction).toMatchObject({
      declaredSize: 5,
      envelope: { bodyType: "8BITMIME", smtpUtf8: false, requireTls: false, ret: "HDRS", envid: "q+1" },
    });
    expect(message?.transaction.envelope.sender).toEqual({ localPart: "Ann", domain: "b.example" });
    expect(message && recipientsOf(message)).toEqual(['"john doe"@d.example', "postmaster"]);
    expect(message?.transaction.envelope.recipients[0]).toMatchObject({
      notify: ["SUCCESS", "FAILURE"],
      orcpt: "rfc822;j@d",
    });
    expect(message?.transaction.envelope.recipients.map(({ original }) => addressKey(original))).toHaveLength(
      2,
    );
  });
});
