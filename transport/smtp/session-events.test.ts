import { afterEach, describe, expect, test } from "vitest";
import { reply } from "../../mail/reply.ts";
import type { MessageSink, SmtpSession } from "../../mail/session.ts";
import { eventually } from "../../test/helpers/eventually.ts";
import { receiveConnector } from "../../test/helpers/receive-connector.ts";
import { type Client, type Rig, type RigOptions, startRig } from "../../test/helpers/session-rig.ts";

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
