/** What becomes of a message when the next hop answers this or that. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { deliveryBench, message, recipient, resultsOf, sendConnector } from "../../test/helpers/delivery.ts";
import {
  type Sink,
  type SinkAnswer,
  type SinkEvent,
  type SinkOptions,
  startSink,
} from "../../test/helpers/sink.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function sinkOf(options: SinkOptions = {}): Promise<Sink> {
  const sink = await startSink(options);
  open.push(sink);
  return sink;
}

function bench(deps: Parameters<typeof deliveryBench>[0] = {}) {
  const one = deliveryBench(deps);
  open.push(one);
  return one;
}

function lmtp(port: number) {
  return sendConnector({
    routing: { smartHosts: [{ host: "127.0.0.1", port, protocol: "LMTP", priority: 0 }] },
  });
}

describe("deliver()", () => {
  test("a message arrives octet for octet, dots undone by the remote", async () => {
    const sink = await sinkOf();
    const body = ".\r\n..\r\na\r\n.b\r\n";
    const result = await bench().send(sendConnector({ port: sink.port }), {
      header: "Subject: x\r\nTo: y\r\n",
      body,
    });
    expect(resultsOf(result)).toEqual(["relayed 2.0.0"]);
    expect(result).toMatchObject({ remoteAddress: "127.0.0.1", tls: undefined, backOffUntil: undefined });
    expect(sink.messages[0]?.content.toString("latin1")).toBe(`Subject: x\r\nTo: y\r\n\r\n${body}`);
  });

  test.each([16_382, 16_386, 900_002])(
    "a body of %d octets, dots first and last, arrives whole",
    async (size) => {
      const sink = await sinkOf();
      const body = `.\r\n..\r\n${".b\r\n".repeat(size / 4)}`.slice(0, size - 3).concat("\r\n.");
      const result = await bench().send(sendConnector({ port: sink.port }), {
        header: "Subject: x\r\n",
        body,
      });
      expect(resultsOf(result)).toEqual(["relayed 2.0.0"]);
      expect(sink.messages[0]?.content.toString("latin1") === `Subject: x\r\n\r\n${body}\r\n`).toBe(true);
    },
  );

  test("messages share a kept connection, without RSET between those that went well", async () => {
    const sink = await sinkOf();
    const { send } = bench();
    const connector = sendConnector({ port: sink.port });
    for (let count = 0; count < 5; count += 1) await send(connector);
    expect(sink.messages).toHaveLength(5);
    expect(sink.connections).toBe(1);
    expect(sink.commands.filter((line) => line.includes("RSET"))).toEqual([]);
  });

  test("each recipient carries its own DSN parameters, in xtext", async () => {
    const sink = await sinkOf();
    const to = [
      recipient("a@x.example", { notify: ["SUCCESS", "DELAY"], orcpt: "rfc822;a+1@x.example" }),
      recipient("b@x.example", { notify: ["NEVER"] }),
      recipient("c@x.example"),
    ];
    await bench().send(sendConnector({ port: sink.port }), {
      to,
      envelope: { ret: "HDRS", envid: "id 1=2" },
    });
    expect(sink.messages[0]?.parameters).toBe("SIZE=23 RET=HDRS ENVID=id+201+3D2");
    expect(sink.messages[0]?.recipients.map(({ parameters }) => parameters)).toEqual([
      "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2B1@x.example",
      "NOTIFY=NEVER",
      "",
    ]);
  });

  test("a remote without DSN gets no parameters, and the outcome says so", async () => {
    const sink = await sinkOf({ extensions: ["PIPELINING"] });
    const to = [recipient("a@x.example", { notify: ["SUCCESS"] })];
    const result = await bench().send(sendConnector({ port: sink.port }), { to });
    expect(result.outcomes[0]?.result).toBe("relayed-no-dsn");
    expect(sink.messages[0]?.recipients[0]?.parameters).toBe("");
  });

  test("the null sender goes out as <>", async () => {
    const sink = await sinkOf();
    await bench().send(sendConnector({ port: sink.port }), { from: null });
    expect(sink.commands).toContain("1 MAIL FROM:<> SIZE=23");
  });

  test("a body that streams arrives whole", async () => {
    const sink = await sinkOf();
    const chunk = Buffer.from(`${"x".repeat(62)}\r\n`.repeat(1024));
    async function* readBody() {
      for (let count = 0; count < 48; count += 1) yield chunk;
    }
    const streamed = { ...message(), body: { kind: "file", name: "f", size: 48 * chunk.length } as const };
    const result = await bench({ readBody }).send(sendConnector({ port: sink.port }), { message: streamed });
    expect(resultsOf(result)).toEqual(["relayed 2.0.0"]);
    expect(sink.messages[0]?.content.length).toBe(48 * chunk.length + "Subject: test\r\n\r\n".length);
  });

  test("a remote that stops reading in the middle is given up, and the body is let go", async () => {
    let released = false;
    async function* readBody() {
      try {
        for (;;) yield Buffer.alloc(65_536, "x\r\n");
      } finally {
        released = true;
      }
    }
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.write("220 mx\r\n");
      socket.once("data", () => {
        socket.write("250-mx\r\n250 PIPELINING\r\n");
        socket.once("data", () => {
          socket.write("250 ok\r\n250 ok\r\n354 go\r\n");
          socket.pause();
        });
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    open.push({ close: async () => void server.close() });
    const streamed = { ...message(), body: { kind: "file", name: "f", size: 1e9 } as const };
    const { port } = server.address() as AddressInfo;
    const { send, delivery } = bench({ readBody });
    const result = await send(sendConnector({ port, connectionInactivityTimeoutMs: 2000 }), {
      message: streamed,
    });
    expect(resultsOf(result)).toEqual(["deferred 4.4.2"]);
    expect(released).toBe(true);
    expect(delivery.stats().connections).toBe(0);
  });

  test("no recipients: no outcomes, no connection; the same recipient twice: an outcome each", async () => {
    const sink = await sinkOf();
    const { send } = bench();
    expect((await send(sendConnector({ port: sink.port }), { to: [] })).outcomes).toEqual([]);
    expect(sink.connections).toBe(0);
    const ann = recipient("ann@x.example");
    const result = await send(sendConnector({ port: sink.port }), { to: [ann, ann] });
    expect(resultsOf(result)).toEqual(["relayed 2.0.0", "relayed 2.0.0"]);
  });

  test("a body that can't be read is deferred, and the remote keeps nothing", async () => {
    const sink = await sinkOf();
    const { send, delivery } = bench({
      // biome-ignore lint/correctness/useYield: it fails before it yields.
      async *readBody() {
        throw Object.assign(new Error("gone"), { code: "ENOENT" });
      },
    });
    const streamed = { ...message(), body: { kind: "file", name: "f", size: 10 } as const };
    const result = await send(sendConnector({ port: sink.port }), { message: streamed });
    expect(resultsOf(result)).toEqual(["deferred 4.3.0"]);
    expect(result.backOffUntil).toBeUndefined();
    expect(sink.messages).toEqual([]);
    expect(delivery.stats()).toEqual({ connections: 0, idle: 0 });
  });
});

type Script = (event: SinkEvent) => SinkAnswer;

describe("deliver(), LMTP", () => {
  test("each recipient has its own final reply, and the message a Return-Path", async () => {
    const script: Script = ({ verb, argument }) =>
      verb === "CONTENT" && argument.startsWith("bob") ? "552 5.2.2 full" : undefined;
    const sink = await sinkOf({ lmtp: true, script });
    const result = await bench().send(lmtp(sink.port), {
      to: ["ann@x.example", "bob@x.example", "cat@x.example"],
      header: "Return-Path: <forged@x>\r\nSubject: x\r\n",
    });
    expect(resultsOf(result)).toEqual(["delivered 2.0.0", "failed 5.2.2", "delivered 2.0.0"]);
    expect(sink.messages[0]?.content.toString()).toBe(
      "Return-Path: <sender@contoso.example>\r\nSubject: x\r\n\r\nbody\r\n",
    );
    expect(sink.commands[0]).toBe("1 LHLO hub.test");
  });

  test("fewer replies than recipients: the unanswered are deferred, the answered are not sent again", async () => {
    const script: Script = ({ verb, nth }) => (verb === "CONTENT" && nth === 2 ? { close: true } : undefined);
    const sink = await sinkOf({ lmtp: true, script });
    const result = await bench().send(lmtp(sink.port), {
      to: ["ann@x.example", "bob@x.example", "cat@x.example"],
    });
    expect(resultsOf(result)).toEqual(["delivered 2.0.0", "deferred 4.4.2", "deferred 4.4.2"]);
    expect(result.backOffUntil).toBeDefined();
  });

  test("a recipient refused at RCPT gets no final reply", async () => {
    const script: Script = ({ verb, nth }) => (verb === "RCPT" && nth === 1 ? "550 5.1.1 no" : undefined);
    const sink = await sinkOf({ lmtp: true, script });
    const result = await bench().send(lmtp(sink.port), { to: ["ann@x.example", "bob@x.example"] });
    expect(resultsOf(result)).toEqual(["failed 5.1.1", "delivered 2.0.0"]);
  });
});
