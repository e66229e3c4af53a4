/** Kept connections: used again, replaced, told QUIT; windows; nothing left behind. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { createCounts } from "../../lib/counts.ts";
import { deliveryBench, deliveryJob, resultsOf, sendConnector } from "../../test/helpers/delivery.ts";
import { type DnsZone, startDns } from "../../test/helpers/dns-server.ts";
import { type Sink, type SinkOptions, startSink } from "../../test/helpers/sink.ts";
import { systemResolver } from "./mod.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function sinkOf(options: SinkOptions = {}): Promise<Sink> {
  const sink = await startSink(options);
  open.push(sink);
  return sink;
}

async function bench(zone: DnsZone = {}, deps: Parameters<typeof deliveryBench>[0] = {}) {
  const dns = await startDns(zone);
  const one = deliveryBench({ resolver: systemResolver([dns.server]), ...deps });
  open.push(dns, one);
  return one;
}

async function until(fact: () => boolean): Promise<void> {
  const end = Date.now() + 40_000;
  while (!fact()) {
    if (Date.now() > end) throw new Error("It did not come to be");
    await delay(5);
  }
}

describe("reserve(), over threads that share their counts", () => {
  test("a next hop never sees more connections than the connector allows, and nobody is left out", async () => {
    const now = { open: 0, peak: 0 };
    const sink = await sinkOf({
      script: ({ verb }) => {
        if (verb === "CONNECT") now.open += 1;
        if (verb === "QUIT") now.open -= 1;
        now.peak = Math.max(now.peak, now.open);
        return verb === "CONTENT" ? { delayMs: 2 } : undefined;
      },
    });
    const counts = createCounts();
    const connector = sendConnector({ port: sink.port, maxConnections: 3, smtpMaxMessagesPerConnection: 20 });
    const sent = [0, 0];
    const work = async (who: number) => {
      const { delivery } = await bench({}, { counts });
      const { nextHop } = deliveryJob(connector);
      while ((sent[who] ?? 0) < 300) {
        const places = delivery.reserve(nextHop, connector, 50);
        if (places === 0) {
          const wait = (delivery.askAgainAt(nextHop.key) ?? Date.now() + 1) - Date.now();
          await delay(Math.max(1, wait));
        }
        await Promise.all(
          Array.from({ length: places }, async () => {
            const result = await delivery.deliver(deliveryJob(connector));
            expect(resultsOf(result)).toEqual(["relayed 2.0.0"]);
            delivery.release(nextHop.key, 1);
            sent[who] = (sent[who] ?? 0) + 1;
          }),
        );
      }
    };
    await Promise.all([work(0), work(1)]);
    expect(now.peak).toBe(3);
    expect(sink.messages).toHaveLength((sent[0] ?? 0) + (sent[1] ?? 0));
  });
});

describe("deliver(), kept connections", () => {
  test("after the connector's number of messages a new connection is made", async () => {
    const sink = await sinkOf();
    const { send } = await bench();
    const connector = sendConnector({ port: sink.port, smtpMaxMessagesPerConnection: 3 });
    for (let count = 0; count < 7; count += 1) await send(connector);
    expect(sink.connections).toBe(3);
    expect(sink.commands.filter((line) => line.endsWith("QUIT"))).toHaveLength(2);
  });

  test("a message is two round trips: the envelope in one write, all of the content in the other", async () => {
    const segments: string[] = [];
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.write("220 mx\r\n");
      socket.on("data", (chunk) => {
        const text = chunk.toString("latin1");
        segments.push(text);
        if (text.startsWith("EHLO")) socket.write("250-mx\r\n250 PIPELINING\r\n");
        else if (text.startsWith("MAIL")) socket.write("250 ok\r\n250 ok\r\n354 go on\r\n");
        else socket.write("250 ok\r\n");
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    open.push({ close: async () => void server.close() });
    const { send } = await bench();
    const connector = sendConnector({ port: (server.address() as AddressInfo).port });
    const body = "x".repeat(76).concat("\r\n").repeat(52);
    for (let count = 0; count < 2; count += 1)
      expect(resultsOf(await send(connector, { body }))).toEqual(["relayed-no-dsn 2.0.0"]);
    const envelope = "MAIL FROM:<sender@contoso.example>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n";
    const content = `Subject: test\r\n\r\n${body}.\r\n`;
    expect(segments.slice(1)).toEqual([envelope, content, envelope, content]);
  });

  test("an idle connection is told QUIT", async () => {
    const sink = await sinkOf();
    const { send, delivery } = await bench({}, { idleMs: 60 });
    await send(sendConnector({ port: sink.port }));
    expect(delivery.stats()).toEqual({ connections: 1, idle: 1 });
    await until(() => sink.commands.some((line) => line.endsWith("QUIT")) && sink.open === 0);
    expect(delivery.stats()).toEqual({ connections: 0, idle: 0 });
  });

  test.each([
    { name: "was cut meanwhile", script: undefined },
    {
      name: "dies at MAIL",
      script: ({ verb, nth }: { verb: string; nth: number }) =>
        verb === "MAIL" && nth === 2 ? { destroy: true } : undefined,
    },
    {
      name: "answers 421 at MAIL",
      script: ({ verb, nth }: { verb: string; nth: number }) =>
        verb === "MAIL" && nth === 2 ? { reply: "421 4.4.2 idle too long", close: true } : undefined,
    },
  ])("one that $name is replaced without a trace", async ({ script }) => {
    const sink = await sinkOf(script === undefined ? {} : { script });
    const { send } = await bench();
    const connector = sendConnector({ port: sink.port });
    await send(connector);
    if (script === undefined) sink.cut();
    const result = await send(connector);
    expect(resultsOf(result)).toEqual(["relayed 2.0.0"]);
    expect(result.backOffUntil).toBeUndefined();
    expect(sink.connections).toBe(2);
  });

  test("one made under other settings is not used again", async () => {
    const sink = await sinkOf();
    const { send } = await bench();
    await send(sendConnector({ port: sink.port }));
    await send(sendConnector({ port: sink.port, fqdn: "new.test" }));
    expect(sink.connections).toBe(2);
    expect(sink.commands).toContain("2 EHLO new.test");
  });

  test("when all connections are taken, an idle one of another next hop makes room", async () => {
    const [one, two] = [await sinkOf(), await sinkOf()];
    const { send, delivery } = await bench({}, { limits: () => ({ maxOutboundConnections: 1 }) });
    await send(sendConnector({ name: "default/a", port: one.port }));
    await send(sendConnector({ name: "default/b", port: two.port }));
    expect(delivery.stats()).toEqual({ connections: 1, idle: 1 });
  });

  test("slots are bounded by what may run in all", async () => {
    const { delivery } = await bench({}, { limits: () => ({ maxOutboundConnections: 2 }) });
    const connector = sendConnector({});
    expect(delivery.reserve(deliveryJob(connector).nextHop, connector, 20)).toBe(2);
  });

  test("close() waits for what runs, quits what idles, and leaves no socket", async () => {
    const sink = await sinkOf({ script: ({ verb }) => (verb === "CONTENT" ? { delayMs: 100 } : undefined) });
    const { send, delivery } = await bench();
    const running = send(sendConnector({ port: sink.port }));
    await until(() => sink.commands.some((line) => line.endsWith("DATA")));
    await delivery.close();
    expect(resultsOf(await running)).toEqual(["relayed 2.0.0"]);
    await until(() => sink.open === 0);
    expect(sink.commands.at(-1)).toBe("1 QUIT");
  });

  test("two thousand messages under failures of all kinds leave no socket and no job behind", async () => {
    const answers = [
      "550 5.1.1 no",
      "450 4.2.0 later",
      { destroy: true },
      { close: true },
      { raw: "nonsense\r\n" },
      { reply: "421 bye", close: true },
    ];
    let event = 0;
    const sink = await sinkOf({
      script: ({ verb }) => {
        event += 1;
        return verb !== "EHLO" && event % 17 === 0 ? answers[event % answers.length] : undefined;
      },
    });
    const { send, delivery } = await bench();
    const connector = sendConnector({ port: sink.port });
    const said: Record<string, Set<string>> = { relayed: new Set(), failed: new Set(), deferred: new Set() };
    let left = 2000;
    const worker = async () => {
      while (left-- > 0) {
        const { outcomes } = await send(connector, { to: [`a${left}@x.example`, `b${left}@x.example`] });
        for (const { recipient, result } of outcomes) said[result]?.add(recipient.address.localPart);
      }
    };
    await Promise.all(Array.from({ length: 20 }, worker));
    await delivery.close();
    await until(() => sink.open === 0);
    expect(delivery.stats()).toEqual({ connections: 0, idle: 0 });
    const arrived = sink.messages.flatMap(({ recipients }) =>
      recipients.map(({ address }) => address.split("@")[0] ?? ""),
    );
    expect(new Set(arrived).size, "nobody gets it twice").toBe(arrived.length);
    expect([...(said.relayed ?? [])].sort(), "relayed is arrived").toEqual(arrived.sort());
    expect((said.relayed?.size ?? 0) + (said.failed?.size ?? 0) + (said.deferred?.size ?? 0)).toBe(4000);
    expect(said.relayed?.size).toBeGreaterThan(2000);
  });
});
