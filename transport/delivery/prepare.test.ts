import { describe, expect, test } from "vitest";
import type { Recipient } from "../../mail/message.ts";
import { type MessageParts, message, recipient } from "../../test/helpers/delivery.ts";
import { prepare, xtext } from "./prepare.ts";

const latin1 = (octets: Uint8Array) => Buffer.from(octets).toString("latin1");

async function prepared(
  parts: MessageParts,
  extensions: readonly string[],
  {
    to = [recipient("ann@x.example")],
    lmtp = false,
    secure = false,
  }: { to?: Recipient[]; lmtp?: boolean; secure?: boolean } = {},
) {
  const offered = new Map(
    extensions.map((line): [string, string] => [line.split(" ")[0] ?? "", line.split(" ")[1] ?? ""]),
  );
  const readBody = async function* () {
    yield Buffer.from("streamed \xe4\r\n", "latin1");
  };
  const job = { message: message(parts), recipients: to, readBody };
  const result = await prepare(job, { extensions: offered, lmtp, secure });
  if (result.kind === "refused") return result.status;
  const { body, header, mail, rcpts } = result.transaction;
  const text = body instanceof Uint8Array ? latin1(body) : "(streams)";
  return {
    mail,
    rcpts,
    header,
    body: text,
    refused: result.refused.map(({ address }) => address.localPart),
  };
}

const eightBit = {
  envelope: { bodyType: "8BITMIME" as const },
  header:
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n",
  body: "gr\xc3\xbc\xc3\x9fe from here to there\r\n",
};
const utf8Header = `Subject: ${Buffer.from("Grüße").toString("latin1")}\r\n`;

describe("prepare()", () => {
  test("8-bit content goes as it is where 8BITMIME is offered", async () => {
    expect(await prepared(eightBit, ["8BITMIME"])).toMatchObject({
      mail: "<sender@contoso.example> BODY=8BITMIME",
      body: eightBit.body,
    });
  });

  test("and is made 7-bit where it is not", async () => {
    const result = await prepared(eightBit, []);
    expect(result).toMatchObject({
      mail: "<sender@contoso.example>",
      body: "gr=C3=BC=C3=9Fe from here to there\r\n",
    });
    expect(result).toHaveProperty("header", expect.stringContaining("quoted-printable"));
  });

  test("binary content is converted even where 8BITMIME is offered", async () => {
    const binary = { ...eightBit, envelope: { bodyType: "BINARYMIME" as const }, body: "\x00\xff\n\r" };
    const result = await prepared(binary, ["8BITMIME"]);
    expect(result).toHaveProperty("mail", "<sender@contoso.example>");
    expect(result).toHaveProperty("body", expect.stringMatching(/^[\x20-\x7e\r\n]+$/));
  });

  test("binary content goes as it is, by BDAT, where CHUNKING and BINARYMIME are offered", async () => {
    const binary = { ...eightBit, envelope: { bodyType: "BINARYMIME" as const }, body: "\x00\xff\n\r" };
    const result = await prepared(binary, ["8BITMIME", "CHUNKING", "BINARYMIME"]);
    expect(result).toHaveProperty("mail", "<sender@contoso.example> BODY=BINARYMIME");
    expect(result).toHaveProperty("body", "\x00\xff\n\r");
    expect(await prepared(binary, ["8BITMIME", "BINARYMIME"])).toHaveProperty(
      "mail",
      "<sender@contoso.example>",
    );
  });

  test("what can't be converted is refused", async () => {
    const signed = {
      envelope: { bodyType: "8BITMIME" as const },
      header: 'Content-Type: multipart/signed; boundary="b"\r\nMIME-Version: 1.0\r\n',
      body: "--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe4\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n",
    };
    expect(await prepared(signed, [])).toBe("5.6.3");
  });

  test("SMTPUTF8 is asked for when needed and offered", async () => {
    const international = { header: utf8Header, envelope: { smtpUtf8: true } };
    expect(await prepared(international, ["SMTPUTF8"])).toMatchObject({
      mail: "<sender@contoso.example> SMTPUTF8",
      header: `${utf8Header}\r\n`,
    });
    expect(await prepared({ envelope: { smtpUtf8: true } }, ["SMTPUTF8"])).toMatchObject({
      mail: "<sender@contoso.example>",
    });
  });

  test("without it a UTF-8 header becomes encoded words", async () => {
    const result = await prepared({ header: utf8Header, envelope: { smtpUtf8: true } }, []);
    expect(result).toHaveProperty("header", expect.stringMatching(/^Subject: =\?utf-8\?.+\?=\r\n\r\n$/i));
  });

  test("without it UTF-8 recipients are refused alone, a UTF-8 sender with the message", async () => {
    const to = [recipient("ann@x.example"), recipient("jörg@x.example")];
    expect(await prepared({}, [], { to })).toMatchObject({ rcpts: ["<ann@x.example>"], refused: ["jörg"] });
    expect(await prepared({}, ["SMTPUTF8"], { to })).toMatchObject({
      mail: "<sender@contoso.example> SMTPUTF8",
      rcpts: ["<ann@x.example>", "<jörg@x.example>"],
    });
    expect(await prepared({ from: "jörg@x.example" }, [])).toBe("5.6.7");
  });

  test.each([
    { name: "at the limit passes", limit: 25, refused: false },
    { name: "over it is refused", limit: 24, refused: true },
    { name: "0 is no limit", limit: 0, refused: false },
  ])("SIZE $name", async ({ limit, refused }) => {
    const result = await prepared({ header: "Subject: x\r\n", body: "0123456789\r" }, [`SIZE ${limit}`]);
    if (refused) expect(result).toBe("5.3.4");
    else expect(result).toHaveProperty("mail", "<sender@contoso.example> SIZE=25");
  });

  test("a body in a file streams, and is read whole only for conversion", async () => {
    const streamed = (bodyType: "7BIT" | "8BITMIME") => ({ envelope: { bodyType } });
    const file = { kind: "file", name: "f", size: 12 } as const;
    const job = (bodyType: "7BIT" | "8BITMIME") => ({
      message: { ...message(streamed(bodyType)), body: file },
      recipients: [],
      readBody: () => stream(),
    });
    const host = { extensions: new Map(), lmtp: false, secure: false };
    const [plain, wide] = [await prepare(job("7BIT"), host), await prepare(job("8BITMIME"), host)];
    expect(plain.kind === "ready" && plain.transaction.body instanceof Uint8Array).toBe(false);
    expect(wide.kind === "ready" && wide.transaction.body instanceof Uint8Array).toBe(true);
  });

  test.each([
    { name: "without TLS", extensions: ["REQUIRETLS"], secure: false, lmtp: false, want: "5.7.30" },
    { name: "to a host that does not offer it", extensions: [], secure: true, lmtp: false, want: "5.7.30" },
    { name: "to LMTP without TLS", extensions: [], secure: false, lmtp: true, want: "5.7.30" },
  ])("REQUIRETLS $name is refused", async ({ extensions, want, ...host }) => {
    expect(await prepared({ envelope: { requireTls: true } }, extensions, host)).toBe(want);
  });

  test("LMTP over TLS may have it: nothing is relayed from there", async () => {
    expect(
      await prepared({ envelope: { requireTls: true } }, [], { lmtp: true, secure: true }),
    ).toHaveProperty("mail");
  });

  test("LMTP gets no DSN parameters: we report ourselves", async () => {
    const to = [recipient("ann@x.example", { notify: ["SUCCESS"], orcpt: "rfc822;a" })];
    expect(await prepared({ envelope: { envid: "e" } }, ["DSN"], { to, lmtp: true })).toMatchObject({
      mail: "<sender@contoso.example>",
      rcpts: ["<ann@x.example>"],
    });
  });

  test("no parameter can carry a line end", async () => {
    const to = [recipient("ann@x.example", { orcpt: "rfc822;a\r\nDATA" })];
    const result = await prepared({ envelope: { envid: "e\r\nRSET" } }, ["DSN"], { to });
    expect(JSON.stringify(result)).not.toMatch(/RSET|\\r\\nDATA/);
  });
});

async function* stream() {
  yield Buffer.from("streamed \xe4\r\n", "latin1");
}

describe("xtext()", () => {
  test.each([
    ["a+b=c d", "a+2Bb+3Dc+20d"],
    ["plain", "plain"],
    ["\r\n\u0000", "+0D+0A+00"],
  ])("%j is %s", (text, want) => {
    expect(xtext(text)).toBe(want);
  });
});
