import { afterEach, describe, expect, test } from "vitest";
import { addressKey } from "../../mail/address.ts";
import { reply } from "../../mail/reply.ts";
import type { MessageSink, SmtpSession } from "../../mail/session.ts";
import { eventually } from "../../test/helpers/eventually.ts";
import { receiveConnector } from "../../test/helpers/receive-connector.ts";
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

/** Says the lines one by one; the replies, first lines only. */
async function dialogue(client: Client, lines: readonly string[]): Promise<string[]> {
  const replies: string[] = [];
  for (const line of lines) replies.push((await client.say(line)).split("\r\n")[0] ?? "");
  return replies;
}

const plain = (text: string) => Buffer.from(text).toString("base64");
const BASIC: RigOptions = {
  connector: { authMechanisms: ["BasicAuth"], permissionGroups: ["AuthenticatedUsers"] },
};

describe("the dialogue", () => {
  const rows: { name: string; options?: RigOptions; lines: string[]; want: string[] }[] = [
    {
      name: "a message goes through, each reply with its status",
      lines: ["EHLO me", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA", "hello\r\n.", "QUIT"],
      want: [
        "250-mx.example Hello [127.0.0.1]",
        "250 2.1.0 Sender OK",
        "250 2.1.5 Recipient OK",
        "354 Start mail input; end with <CRLF>.<CRLF>",
        "250 2.6.0 Queued",
        "221 2.0.0 Closing connection",
      ],
    },
    {
      name: "HELO offers no extension, and takes no parameter",
      lines: ["HELO me", "MAIL FROM:<a@b> SIZE=1", "MAIL FROM:<a@b>"],
      want: [
        "250 mx.example Hello [127.0.0.1]",
        "555 5.5.4 Parameter not recognized or not implemented",
        "250 2.1.0 Sender OK",
      ],
    },
    {
      name: "verbs that need no transaction",
      lines: ["EHLO me", "NOOP anything", "VRFY ann", "HELP", "RSET"],
      want: [
        "250-mx.example Hello [127.0.0.1]",
        "250 2.0.0 OK",
        "252 2.5.0 Cannot verify, but will accept mail for delivery",
        "214 2.0.0 Commands are described in RFC 5321",
        "250 2.0.0 Transaction dropped",
      ],
    },
    {
      name: "joke verbs, EXPN and empty lines are protocol errors",
      lines: ["EHLO me", "WIZ", "KILL", "", "EXPN all", "BDAT 0 LAST x"],
      want: [
        "250-mx.example Hello [127.0.0.1]",
        "500 5.5.1 Command not recognized",
        "500 5.5.1 Command not recognized",
        "500 5.5.2 Syntax error",
        "502 5.5.1 Command not implemented",
        "501 5.5.4 Syntax error in parameters or arguments",
      ],
    },
    {
      name: "commands out of sequence",
      options: { connector: { maxProtocolErrors: 20 } },
      lines: [
        "MAIL FROM:<>",
        "RCPT TO:<a@b>",
        "EHLO me",
        "RCPT TO:<a@b>",
        "DATA",
        "MAIL FROM:<>",
        "MAIL FROM:<>",
        "DATA",
      ],
      want: [
        "503 5.5.1 Send EHLO or HELO first",
        "503 5.5.1 Send EHLO or HELO first",
        "250-mx.example Hello [127.0.0.1]",
        "503 5.5.1 Need MAIL command",
        "503 5.5.1 Need MAIL command",
        "250 2.1.0 Sender OK",
        "503 5.5.1 Bad sequence of commands",
        "503 5.5.1 No valid recipients",
      ],
    },
    {
      name: "addresses: bad ones, UTF-8 without SMTPUTF8, UTF-8 with it",
      options: { connector: { maxProtocolErrors: 20 } },
      lines: [
        "EHLO me",
        "MAIL FROM:a@b",
        "MAIL FROM:<a b@c>",
        "MAIL FROM:<postmaster>",
        "MAIL FROM:<a@b..c>",
        `MAIL FROM:<jörg@b>`,
        `MAIL FROM:<jörg@b> SMTPUTF8`,
        "RCPT TO:<>",
      ],
      want: [
        "250-mx.example Hello [127.0.0.1]",
        "501 5.5.4 Syntax error in parameters or arguments",
        "501 5.5.4 Syntax error in parameters or arguments",
        "501 5.1.7 Bad sender address syntax",
        "501 5.1.7 Bad sender address syntax",
        "553 5.6.7 Address needs SMTPUTF8",
        "250 2.1.0 Sender OK",
        "501 5.1.3 Bad recipient address syntax",
      ],
    },
    {
      name: "after maxProtocolErrors comes 421",
      options: { connector: { maxProtocolErrors: 2 } },
      lines: ["A", "B", "C"],
      want: [
        "500 5.5.1 Command not recognized",
        "500 5.5.1 Command not recognized",
        "421 4.7.0 Too many errors, closing connection",
      ],
    },
    {
      name: "a recipient beyond the limit is refused, a repeated one is not",
      options: { connector: { maxRecipientsPerMessage: 1 } },
      lines: ["EHLO me", "MAIL FROM:<>", "RCPT TO:<a@b>", "RCPT TO:<A@B>", "RCPT TO:<c@b>"],
      want: [
        "250-mx.example Hello [127.0.0.1]",
        "250 2.1.0 Sender OK",
        "250 2.1.5 Recipient OK",
        "250 2.1.5 Recipient OK",
        "452 4.5.3 Too many recipients",
      ],
    },
    {
      name: "maxMessagesPerConnection counts transactions",
      options: { connector: { maxMessagesPerConnection: 1 } },
      lines: ["EHLO me", "MAIL FROM:<>", "RSET", "MAIL FROM:<>"],
      want: [
        "250-mx.example Hello [127.0.0.1]",
        "250 2.1.0 Sender OK",
        "250 2.0.0 Transaction dropped",
        "421 4.7.0 Too many messages, closing connection",
      ],
    },
    {
      name: "tls.mode Required leaves only what leads to TLS",
      options: { connector: { tls: { mode: "Required", minVersion: "TLSv1.2", certificates: [] } } },
      lines: ["EHLO me", "NOOP", "MAIL FROM:<>", "AUTH PLAIN", "STARTTLS"],
      want: [
        "250-mx.example Hello [127.0.0.1]",
        "250 2.0.0 OK",
        "530 5.7.0 Must issue a STARTTLS command first",
        "530 5.7.0 Must issue a STARTTLS command first",
        "454 4.7.0 TLS not available due to a temporary reason",
      ],
    },
    {
      name: "without AnonymousUsers MAIL needs AUTH",
      options: BASIC,
      lines: [
        "EHLO me",
        "MAIL FROM:<>",
        `AUTH PLAIN ${plain("\0ann\0secret")}`,
        "MAIL FROM:<>",
        "AUTH PLAIN",
      ],
      want: [
        "250-mx.example Hello [127.0.0.1]",
        "530 5.7.0 Authentication required",
        "235 2.7.0 Authentication successful",
        "250 2.1.0 Sender OK",
        "503 5.5.1 Bad sequence of commands",
      ],
    },
    {
      name: "AUTH LOGIN step by step, cancelled once",
      options: BASIC,
      lines: ["EHLO me", "AUTH LOGIN", "*", "AUTH LOGIN", plain("ann"), plain("secret")],
      want: [
        "250-mx.example Hello [127.0.0.1]",
        "334 VXNlcm5hbWU6",
        "501 5.7.0 Authentication cancelled",
        "334 VXNlcm5hbWU6",
        "334 UGFzc3dvcmQ6",
        "235 2.7.0 Authentication successful",
      ],
    },
    {
      name: "after maxLogonFailures no password is looked at",
      options: { connector: { ...BASIC.connector, maxLogonFailures: 1 } },
      lines: ["EHLO me", `AUTH PLAIN ${plain("\0ann\0wrong")}`, `AUTH PLAIN ${plain("\0ann\0secret")}`],
      want: [
        "250-mx.example Hello [127.0.0.1]",
        "535 5.7.8 Authentication credentials invalid",
        "421 4.7.0 Too many failed logons, closing connection",
      ],
    },
    {
      name: "AUTH is only under TLS unless BasicAuth says otherwise, and not at all without either",
      options: { connector: { authMechanisms: ["Tls", "BasicAuthRequireTLS"] } },
      lines: ["AUTH PLAIN", "EHLO me", "AUTH PLAIN"],
      want: [
        "503 5.5.1 Send EHLO or HELO first",
        "250-mx.example Hello [127.0.0.1]",
        "538 5.7.11 Encryption required for authentication",
      ],
    },
    {
      name: "a password that cannot be checked is 454",
      options: { ...BASIC, services: { authenticate: () => Promise.reject(new Error("no store")) } },
      lines: ["EHLO me", `AUTH PLAIN ${plain("\0ann\0secret")}`, "AUTH CRAM-MD5", "AUTH PLAIN x y"],
      want: [
        "250-mx.example Hello [127.0.0.1]",
        "454 4.7.0 Temporary authentication failure",
        "504 5.5.4 Unrecognized authentication mechanism",
        "501 5.5.4 Syntax error in parameters or arguments",
      ],
    },
    {
      name: "a draining service takes no new transaction",
      options: { services: { draining: () => true } },
      lines: ["EHLO me", "MAIL FROM:<>"],
      want: ["250-mx.example Hello [127.0.0.1]", "421 4.3.2 Service not available, closing connection"],
    },
    {
      name: "an HTTP request is cut off",
      lines: ["POST / HTTP/1.1"],
      want: ["554 5.5.1 This is an SMTP server"],
    },
  ];
  test.each(rows)("$name", async ({ options, lines, want }) => {
    const { client } = await open(options);
    expect(await dialogue(client, lines)).toEqual(want);
  });
});

describe("the handler", () => {
  const no = { reply: reply(550, "5.7.1", "No") };
  test.each([
    {
      name: "onEhlo refuses",
      options: { handler: { onEhlo: () => no } },
      lines: ["EHLO me", "MAIL FROM:<>"],
      want: ["550 5.7.1 No", "503 5.5.1 Send EHLO or HELO first"],
    },
    {
      name: "onMail refuses",
      options: { handler: { onMail: () => no } },
      lines: ["HELO me", "MAIL FROM:<>", "RCPT TO:<a@b>"],
      want: ["250 mx.example Hello [127.0.0.1]", "550 5.7.1 No", "503 5.5.1 Need MAIL command"],
    },
    {
      name: "onRcpt refuses",
      options: { handler: { onRcpt: () => no } },
      lines: ["HELO me", "MAIL FROM:<>", "RCPT TO:<a@b>", "DATA"],
      want: [
        "250 mx.example Hello [127.0.0.1]",
        "250 2.1.0 Sender OK",
        "550 5.7.1 No",
        "503 5.5.1 No valid recipients",
      ],
    },
    {
      name: "onData refuses, which ends the transaction",
      options: { handler: { onData: () => no } },
      lines: ["HELO me", "MAIL FROM:<>", "RCPT TO:<a@b>", "DATA", "MAIL FROM:<>"],
      want: [
        "250 mx.example Hello [127.0.0.1]",
        "250 2.1.0 Sender OK",
        "250 2.1.5 Recipient OK",
        "550 5.7.1 No",
        "250 2.1.0 Sender OK",
      ],
    },
    {
      name: "a check of the service refuses before onMail",
      options: { services: { checkSender: () => no } },
      lines: ["HELO me", "MAIL FROM:<>"],
      want: ["250 mx.example Hello [127.0.0.1]", "550 5.7.1 No"],
    },
    {
      name: "a relay check refuses",
      options: { services: { checkRecipient: () => no } },
      lines: ["HELO me", "MAIL FROM:<>", "RCPT TO:<a@b>"],
      want: ["250 mx.example Hello [127.0.0.1]", "250 2.1.0 Sender OK", "550 5.7.1 No"],
    },
  ] satisfies { name: string; options: RigOptions; lines: string[]; want: string[] }[])(
    "$name",
    async ({ options, lines, want }) => {
      const { client } = await open(options);
      expect(await dialogue(client, lines)).toEqual(want);
    },
  );

  test("onConnect refuses instead of the greeting, and the connection is closed", async () => {
    rig = await startRig({ handler: { onConnect: () => ({ reply: reply(554, "5.7.1", "Go away") }) } });
    const client = await rig.connect();
    expect(await client.rest()).toBe("554 5.7.1 Go away\r\n");
  });

  test("what it throws is 451, logged, and the session goes on", async () => {
    const boom = () => {
      throw new Error("boom");
    };
    const { client, rig: started } = await open({
      handler: { onEhlo: boom, onRcpt: () => Promise.reject(new Error("bang")), onReset: boom, onData: boom },
    });
    const fault = "451 4.3.0 Temporary server error, try again later";
    expect(await dialogue(client, ["EHLO me", "HELO me", "NOOP"])).toEqual([fault, fault, "250 2.0.0 OK"]);
    expect(started.events.filter((event) => event.startsWith("fault:EHLO"))).toHaveLength(2);
  });

  test("disconnect closes after the reply", async () => {
    const { client } = await open({
      handler: { onMail: () => ({ reply: reply(550, "5.7.1", "No"), disconnect: true }) },
    });
    client.write("HELO me\r\nMAIL FROM:<>\r\nNOOP\r\n");
    expect(await client.rest()).toBe("250 mx.example Hello [127.0.0.1]\r\n550 5.7.1 No\r\n");
  });

  test("it sees the live session, and is told of what smtp refuses by itself and of the end", async () => {
    let seen: SmtpSession | undefined;
    const { client, rig: started } = await open({
      ...BASIC,
      handler: {
        onMail({ session }) {
          seen = session;
          return undefined;
        },
      },
    });
    await dialogue(client, ["EHLO me", "BOGUS", `AUTH PLAIN ${plain("\0ann\0secret")}`, "MAIL FROM:<>"]);
    expect(seen).toMatchObject({ helo: "me", extended: true, user: "ann", internal: true, mayRelay: true });
    expect(seen).toBe(started.controls[0]?.session);
    client.socket.destroy();
    await eventually(() => started.events.includes("closed"));
    expect(started.events).toEqual(["reject:UNKNOWN 500", "disconnect", "closed"]);
  });

  test("RSET, EHLO and refused content give the transaction up; an accepted message does not", async () => {
    const { client, rig: started } = await open();
    await dialogue(client, [
      "EHLO me",
      "MAIL FROM:<>",
      "RSET",
      "MAIL FROM:<>",
      "EHLO me",
      "MAIL FROM:<>",
      "RCPT TO:<a@b>",
      "DATA",
      "x\r\n.",
    ]);
    expect(started.events).toEqual(["reset", "reset"]);
    await dialogue(client, ["MAIL FROM:<>", "RCPT TO:<a@b>", "DATA", "x\ny\r\n."]);
    expect(started.events).toEqual(["reset", "reset", "abort", "reject:DATA 550", "reset"]);
  });

  test("each MAIL asks for the connector again, and rights follow it", async () => {
    const connectors = [
      receiveConnector({ name: "a/b" }),
      receiveConnector({ name: "a/b" }),
      receiveConnector({ name: "c/d", authMechanisms: ["ExternalAuthoritative"] }),
      undefined,
    ];
    const { client, rig: started } = await open({ services: { connector: () => connectors.shift() } });
    await dialogue(client, ["EHLO me", "MAIL FROM:<>"]);
    expect(started.controls[0]?.session).toMatchObject({
      connector: "a/b",
      internal: false,
      mayRelay: false,
    });
    await dialogue(client, ["RSET", "MAIL FROM:<>"]);
    expect(started.controls[0]?.session).toMatchObject({ connector: "c/d", internal: true, mayRelay: true });
    expect(await dialogue(client, ["RSET", "MAIL FROM:<>"])).toContain(
      "421 4.3.2 Service not available, closing connection",
    );
  });
});

describe("a sink that breaks its promise", () => {
  const queued = () => Promise.resolve({ reply: reply(250, "2.6.0", "Queued") });
  const boom = () => Promise.reject(new Error("boom"));
  const rows: { name: string; sink: Partial<MessageSink> | undefined }[] = [
    { name: "write() rejects", sink: { write: boom } },
    {
      name: "write() throws",
      sink: {
        write() {
          throw new Error("boom");
        },
      },
    },
    { name: "end() rejects", sink: { end: boom } },
    { name: "there is none", sink: undefined },
  ];
  test.each(rows)("$name: 451, logged, and the session goes on", async ({ sink }) => {
    const whole: MessageSink = { write: () => undefined, end: queued, abort: () => undefined };
    const { client, rig: started } = await open({ handler: { onData: () => sink && { ...whole, ...sink } } });
    client.socket.end(
      "EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 3\r\na\r\nBDAT 0 LAST\r\nMAIL FROM:<>\r\n",
    );
    const codes = (await client.rest()).match(/^\d{3} /gm)?.map(Number);
    expect(codes?.slice(3)).toContain(451);
    expect(codes?.at(-1)).toBe(250);
    expect(started.events.filter((event) => event.startsWith("fault:content"))).toHaveLength(1);
  });
});

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

describe("SessionControl", () => {
  test("shutdown() ends an idle session at once", async () => {
    const { client, rig: started } = await open();
    started.controls[0]?.shutdown();
    expect(await client.rest()).toBe("421 4.3.2 Service not available, closing connection\r\n");
  });

  test("shutdown() lets an open transaction end", async () => {
    const { client, rig: started } = await open();
    await dialogue(client, ["EHLO me", "MAIL FROM:<>"]);
    expect(started.controls[0]?.inTransaction()).toBe(true);
    started.controls[0]?.shutdown();
    expect(await dialogue(client, ["RCPT TO:<a@b>", "DATA"])).toHaveLength(2);
    client.write("x\r\n.\r\n");
    expect(await client.rest()).toBe(
      "250 2.6.0 Queued\r\n421 4.3.2 Service not available, closing connection\r\n",
    );
    expect(started.controls[0]?.inTransaction()).toBe(false);
  });

  test("destroy() closes at once", async () => {
    const { client, rig: started } = await open();
    started.controls[0]?.destroy();
    expect(await client.rest()).toBe("");
  });

  test("a client that no connector serves gets 421 and no handler", async () => {
    rig = await startRig({ services: { connector: () => undefined } });
    const client = await rig.connect();
    expect(await client.rest()).toBe("421 4.3.2 Service not available, closing connection\r\n");
    await eventually(() => rig?.events.includes("closed"));
    expect(rig.events).toEqual(["closed"]);
  });
});

describe("the protocol log", () => {
  test("holds the dialogue without credentials and content", async () => {
    const { client, rig: started } = await open({
      connector: { ...BASIC.connector, protocolLoggingLevel: "Verbose" },
    });
    await dialogue(client, [
      "EHLO me",
      "AUTH LOGIN",
      plain("ann"),
      plain("wrong"),
      `AUTH PLAIN ${plain("\0ann\0secret")}`,
    ]);
    await dialogue(client, ["MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA", "private\r\n."]);
    const log = started.protocol.join("\n");
    expect(log).toContain("< AUTH PLAIN ***");
    expect(log).toContain("> 235 2.7.0");
    expect(log).toContain("< MAIL FROM:<a@b>");
    for (const secret of [plain("ann"), plain("wrong"), plain("\0ann\0secret"), "private"])
      expect(log).not.toContain(secret);
  });
});
