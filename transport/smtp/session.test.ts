import { afterEach, describe, expect, test } from "vitest";
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
