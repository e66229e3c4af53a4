import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MessageSink } from "../../mail/session.ts";
import { eventually } from "../../test/helpers/eventually.ts";
import { type Rig, startRig } from "../../test/helpers/session-rig.ts";

const ENVELOPE = "EHLO me\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";
/** Where a client may stand, and what brought it there. */
const STATES: readonly { name: string; lead: string }[] = [
  { name: "after the greeting", lead: "" },
  { name: "after EHLO", lead: "EHLO me\r\n" },
  { name: "in AUTH", lead: "EHLO me\r\nAUTH LOGIN\r\n" },
  { name: "after MAIL", lead: "EHLO me\r\nMAIL FROM:<a@b.example>\r\n" },
  { name: "after RCPT", lead: ENVELOPE },
  { name: "in DATA", lead: `${ENVELOPE}DATA\r\n` },
  { name: "inside a line of DATA", lead: `${ENVELOPE}DATA\r\nhello` },
  { name: "in BDAT", lead: `${ENVELOPE}BDAT 100 LAST\r\nhello` },
  { name: "between chunks", lead: `${ENVELOPE}BDAT 2\r\n\r\n` },
  { name: "in swallowed BDAT", lead: "EHLO me\r\nBDAT 100\r\nhello" },
];

let rig: Rig;
beforeEach(async () => {
  rig = await startRig({
    connector: { authMechanisms: ["BasicAuth"], maxMessageSize: 5000, connectionInactivityTimeoutMs: 20_000 },
  });
});
afterEach(() => rig.stop());

/** Sends pieces, closes our half, and returns everything that came back. */
async function exchange(pieces: readonly (string | Buffer)[]): Promise<string> {
  const client = await rig.open();
  client.socket.setNoDelay(true);
  for (const piece of pieces) {
    client.write(piece);
    if (pieces.length > 1) await new Promise(setImmediate);
  }
  client.socket.end();
  return client.rest();
}

describe("smuggling over the wire", () => {
  test.each([
    { name: "LF . LF", end: "\n.\n" },
    { name: "LF . CRLF", end: "\n.\r\n" },
    { name: "CR . CR", end: "\r.\r" },
    { name: "CR . CRLF", end: "\r.\r\n" },
    { name: "CRLF . LF", end: "\r\n.\n" },
    { name: "CRLF . CR", end: "\r\n.\r" },
    { name: "LF . CR", end: "\n.\r" },
    { name: "CRLF NUL . CRLF", end: "\r\n\0.\r\n" },
    { name: "CRLF . NUL CRLF", end: "\r\n.\0\r\n" },
    { name: "CR NUL LF . CRLF", end: "\r\0\n.\r\n" },
  ])("$name is one refused message, split at every octet", async ({ end }) => {
    const smuggled = `MAIL FROM:<evil@example>\r\nRCPT TO:<x@y.example>\r\nDATA\r\nbad\r\n.\r\nQUIT\r\n`;
    const text = `${ENVELOPE}DATA\r\nhello${end}${smuggled}`;
    const from = text.indexOf("hello") + 4;
    for (let at = from; at <= from + end.length + 2; at++) {
      const answers = await exchange([text.slice(0, at), text.slice(at)]);
      expect(answers).toMatch(/354 [^\n]*\n550 5\.6\.11 [^\n]*\n221 [^\n]*\n$/);
    }
    expect(rig.messages).toEqual([]);
  });

  test("a bare LF in a command cuts the session", async () => {
    const answers = await exchange([`${ENVELOPE}RSET\nQUIT\r\n`]);
    expect(answers).toMatch(/500 5\.5\.2 Syntax error\r\n$/);
    expect(answers).not.toContain("221");
  });

  test("a bare CR in a command is no line end", async () => {
    expect(await exchange(["NOOP\rQUIT\r\nNOOP\r\n"])).toBe("500 5.5.2 Syntax error\r\n250 2.0.0 OK\r\n");
  });
});

describe("oversized input", () => {
  test("a command of 3,000 octets is refused, and the next is heard", async () => {
    expect(await exchange([`${"x".repeat(3000)}\r\nNOOP\r\n`])).toBe(
      "500 5.5.2 Line too long\r\n250 2.0.0 OK\r\n",
    );
  });

  test("a line without end is cut off", async () => {
    const client = await rig.open();
    client.write("x".repeat(1_000_000));
    expect(await client.rest()).toBe("500 5.5.2 Line too long\r\n");
  });

  test("a data line of 1,000 octets is refused at the end of data", async () => {
    const answers = await exchange([`${ENVELOPE}DATA\r\n${"x".repeat(1000)}\r\n.\r\nNOOP\r\n`]);
    expect(answers).toMatch(/550 5\.6\.0 [^\n]*\n250 2\.0\.0 OK\r\n$/);
  });

  test("a hundred thousand pipelined commands are answered in order, without their replies piling up", async () => {
    const client = await rig.open();
    client.socket.end(`${"NOOP\r\n".repeat(100_000)}QUIT\r\n`);
    const answers = await client.rest();
    expect(answers.match(/250 2\.0\.0 OK/g)).toHaveLength(100_000);
    expect(answers.endsWith("221 2.0.0 Closing connection\r\n")).toBe(true);
  });

  test("a client that never reads its replies is not answered without limit", async () => {
    const client = await rig.open();
    client.socket.pause();
    let isStuck = false;
    for (let sent = 0; sent < 60 && !isStuck; sent++) {
      isStuck = !client.socket.write("HELP\r\n".repeat(50_000)) && sent > 50;
    }
    const held = rig.controls.at(-1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(200_000_000);
    held?.destroy();
    client.socket.destroy();
  });
});

describe("random octets", () => {
  const grain = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        "\r\n",
        "\r",
        "\n",
        "\0",
        ".",
        " ",
        ":",
        "<",
        ">",
        '"',
        "\\",
        "=",
        "*",
        "\xff",
      ),
    },
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        "MAIL FROM:<a@b>",
        "RCPT TO:<c@d>",
        "DATA",
        "BDAT ",
        "LAST",
        "RSET",
        "AUTH PLAIN ",
        "STARTTLS",
        "EHLO x",
        "NOOP",
        "QUIT",
        "SIZE=",
        "9",
      ),
    },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 20 }) },
  );

  test.each(STATES)(
    "$name: 300 streams are each answered with well-formed replies and closed",
    async ({ lead }) => {
      const streams = fc.sample(fc.array(grain, { maxLength: 60 }), 300).map((parts) => parts.join(""));
      for (let from = 0; from < streams.length; from += 25) {
        const batch = streams
          .slice(from, from + 25)
          .map((text) => exchange([Buffer.from(`${lead}${text}`, "latin1")]));
        for (const answers of await Promise.all(batch)) {
          expect(answers).toMatch(/^(?:\d{3}[ -][\x20-\x7e]*\r\n)*$/);
        }
      }
      await eventually(() => rig.events.filter((event) => event === "closed").length === streams.length);
      expect(rig.events.filter((event) => event === "disconnect")).toHaveLength(streams.length);
      expect(rig.events.filter((event) => event.startsWith("fault"))).toEqual([]);
    },
  );
});

describe("a client that vanishes", () => {
  test.each(STATES)("$name: a reset ends everything once", async ({ lead }) => {
    const client = await rig.open();
    client.write(lead);
    const replies = lead.match(/\r\n/g)?.length ?? 0;
    await eventually(() => replies === 0 || client.received() !== "");
    client.socket.resetAndDestroy();
    await eventually(() => rig.events.includes("closed"));
    expect(rig.events.filter((event) => event === "closed" || event === "disconnect")).toEqual([
      "disconnect",
      "closed",
    ]);
    expect(rig.messages).toEqual([]);
  });

  test.each(STATES)(
    "$name: a closed half ends everything once, and no message is taken",
    async ({ lead }) => {
      await exchange([lead]);
      await eventually(() => rig.events.includes("closed"));
      expect(rig.events.filter((event) => event === "closed" || event === "disconnect")).toEqual([
        "disconnect",
        "closed",
      ]);
      expect(rig.messages).toEqual([]);
    },
  );

  test("content that was begun is aborted", async () => {
    const client = await rig.open();
    client.write(`${ENVELOPE}DATA\r\nhello\r\n`);
    await eventually(() => client.received().includes("354"));
    client.socket.resetAndDestroy();
    await eventually(() => rig.events.includes("closed"));
    expect(rig.events).toEqual(["abort", "disconnect", "closed"]);
  });

  test.each(["DATA", "BDAT 5"])(
    "a sink that comes after the client has left (%s) is aborted",
    async (verb) => {
      const sink = Promise.withResolvers<MessageSink>();
      const calls: string[] = [];
      const late = await startRig({
        handler: {
          onData() {
            calls.push("onData");
            return sink.promise;
          },
        },
      });
      const client = await late.open();
      client.write(`${ENVELOPE}${verb}\r\n`);
      await eventually(() => calls.length === 1);
      client.socket.resetAndDestroy();
      await eventually(() => late.events.includes("closed"));
      sink.resolve({
        write: () => undefined,
        end: () => Promise.reject(new Error("ended")),
        abort: () => void calls.push("abort"),
      });
      await eventually(() => calls.length === 2);
      expect(calls).toEqual(["onData", "abort"]);
      await late.stop();
    },
  );
});
