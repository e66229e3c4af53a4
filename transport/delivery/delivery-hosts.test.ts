/** Which host gets the message: DNS, smart hosts, failover, kept connections, windows. */
import { afterEach, describe, expect, test } from "vitest";
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

/** Sinks on one port of several loopback addresses, as MX hosts need it. */
async function sinksOn(
  options: readonly (SinkOptions | undefined)[],
): Promise<{ sinks: (Sink | undefined)[]; port: number }> {
  const first = await sinkOf({ host: "127.0.0.9" });
  const sinks: (Sink | undefined)[] = [];
  for (const [index, one] of options.entries()) {
    sinks.push(
      one === undefined
        ? undefined
        : await sinkOf({ ...one, host: `127.0.0.${index + 10}`, port: first.port }),
    );
  }
  return { sinks, port: first.port };
}

const mx = (port: number) => sendConnector({ routing: { type: "MX", port, smartHosts: [] } });
const zone: DnsZone = {
  "two.example": {
    MX: [
      [20, "b.two.example"],
      [10, "a.two.example"],
    ],
  },
  "a.two.example": { A: ["127.0.0.10"] },
  "b.two.example": { A: ["127.0.0.11"] },
  "implicit.example": { A: ["127.0.0.10"] },
  "null.example": { MX: [[0, "."]] },
  "broken.example": "SERVFAIL",
  "halfbroken.example": { MX: [[10, "broken.example"]] },
  "nowhere.example": { MX: [[10, "missing.example"]] },
  "bare.example": { TXT: ["nothing"] },
  "self.example": {
    MX: [
      [10, "hub.test"],
      [20, "a.two.example"],
    ],
  },
  "behindself.example": {
    MX: [
      [5, "a.two.example"],
      [10, "HUB.test"],
      [20, "b.two.example"],
    ],
  },
};

describe("deliver(), MX", () => {
  test("the most preferred host gets the mail", async () => {
    const { sinks, port } = await sinksOn([{}, {}]);
    const result = await (await bench(zone)).send(mx(port), { to: ["x@two.example"] });
    expect(result.outcomes[0]).toMatchObject({ result: "relayed", remoteMta: "a.two.example" });
    expect(sinks.map((sink) => sink?.messages.length)).toEqual([1, 0]);
  });

  test.each([
    { name: "is down", options: undefined },
    {
      name: "closes at once",
      options: { script: ({ verb }: { verb: string }) => (verb === "CONNECT" ? { close: true } : undefined) },
    },
    {
      name: "greets with 554",
      options: { script: ({ verb }: { verb: string }) => (verb === "CONNECT" ? "554 no" : undefined) },
    },
    {
      name: "answers 421 at MAIL",
      options: { script: ({ verb }: { verb: string }) => (verb === "MAIL" ? "421 4.3.2 bye" : undefined) },
    },
    {
      name: "defers the recipient",
      options: {
        script: ({ verb }: { verb: string }) => (verb === "RCPT" ? "450 4.2.0 greylisted" : undefined),
      },
    },
    { name: "has too small a SIZE", options: { extensions: ["SIZE 5"] } },
  ])("when it $name, the next one does", async ({ options }) => {
    const { sinks, port } = await sinksOn([options, {}]);
    const result = await (await bench(zone)).send(mx(port), { to: ["x@two.example"] });
    expect(result.outcomes[0]).toMatchObject({ result: "relayed", remoteMta: "b.two.example" });
    expect(result.backOffUntil).toBeUndefined();
    expect(sinks[1]?.messages).toHaveLength(1);
  });

  test("after the content was sent and the reply is lost, no other host is asked", async () => {
    const { sinks, port } = await sinksOn([
      { script: ({ verb }) => (verb === "CONTENT" ? { destroy: true } : undefined) },
      {},
    ]);
    const result = await (await bench(zone)).send(mx(port), { to: ["x@two.example"] });
    expect(resultsOf(result)).toEqual(["deferred 4.4.2"]);
    expect(sinks[1]?.connections).toBe(0);
  });

  test("a message too large for every host fails", async () => {
    const { port } = await sinksOn([{ extensions: ["SIZE 5"] }, { extensions: ["SIZE 6"] }]);
    expect(resultsOf(await (await bench(zone)).send(mx(port), { to: ["x@two.example"] }))).toEqual([
      "failed 5.3.4",
    ]);
  });

  test.each([
    { domain: "implicit.example", name: "without MX the domain is the host", want: "relayed 2.0.0" },
    { domain: "null.example", name: "null MX fails", want: "failed 5.1.10" },
    { domain: "gone.example", name: "NXDOMAIN fails", want: "failed 5.1.2" },
    { domain: "broken.example", name: "SERVFAIL defers", want: "deferred 4.4.3", rest: true },
    { domain: "halfbroken.example", name: "SERVFAIL of the host defers", want: "deferred 4.4.3", rest: true },
    { domain: "nowhere.example", name: "an MX without address fails", want: "failed 5.4.4" },
    { domain: "bare.example", name: "a domain without MX and address fails", want: "failed 5.4.4" },
    { domain: "self.example", name: "our own name as the best MX is a loop", want: "failed 5.4.6" },
    { domain: "behindself.example", name: "hosts better than ourselves are used", want: "relayed 2.0.0" },
    { domain: "[127.0.0.10]", name: "an address literal is its own host", want: "relayed 2.0.0" },
  ])("$name", async ({ domain, want, rest = false }) => {
    const { port } = await sinksOn([{}]);
    const result = await (await bench(zone)).send(mx(port), { to: ["x@any.example"], domain });
    expect(resultsOf(result)).toEqual([want]);
    expect(result.backOffUntil !== undefined).toBe(rest);
  });
});

describe("deliver(), smart hosts", () => {
  const hosts = (...list: [port: number, priority: number][]) =>
    sendConnector({
      smtpMaxMessagesPerConnection: 1,
      routing: {
        smartHosts: list.map(([port, priority]) => ({ host: "127.0.0.1", port, protocol: "SMTP", priority })),
      },
    });

  test("equal ones take turns", async () => {
    const [one, two] = [await sinkOf(), await sinkOf()];
    const { send } = await bench();
    const connector = hosts([one.port, 0], [two.port, 0]);
    for (let count = 0; count < 6; count += 1) await send(connector);
    expect([one.messages.length, two.messages.length]).toEqual([3, 3]);
  });

  test("one of lower priority only gets mail while the better one is down, which is then tried last", async () => {
    const [one, two] = [
      await sinkOf({ script: ({ verb }) => (verb === "CONNECT" ? { destroy: true } : undefined) }),
      await sinkOf(),
    ];
    const { send, delivery } = await bench();
    const connector = hosts([one.port, 0], [two.port, 5]);
    for (let count = 0; count < 4; count += 1)
      expect(resultsOf(await send(connector))).toEqual(["relayed 2.0.0"]);
    expect([one.connections, two.messages.length]).toEqual([1, 4]);
    delivery.reset("default/out");
    await send(connector);
    expect(one.connections).toBe(2);
  });

  test("all down: everything is deferred, the next hop rests, reset ends it", async () => {
    const down = await startSink();
    await down.close();
    const { send, delivery } = await bench();
    const connector = hosts([down.port, 0]);
    const { nextHop } = deliveryJob(connector);
    const results = await Promise.all([send(connector), send(connector), send(connector)]);
    expect(results.flatMap(resultsOf)).toEqual(["deferred 4.4.1", "deferred 4.4.1", "deferred 4.4.1"]);
    const until = delivery.backOffUntil(nextHop.key) ?? 0;
    expect(until - Date.now()).toBeGreaterThan(55_000);
    expect(until - Date.now()).toBeLessThan(75_000);
    expect(delivery.reserve(nextHop, connector, 20)).toBe(0);
    delivery.reset(nextHop.key);
    expect(delivery.reserve(nextHop, connector, 20)).toBeGreaterThan(0);
  });

  test("a next hop that is down rests as long as its mail, and is in the log once a round", async () => {
    const down = await startSink();
    await down.close();
    const { send, delivery, lines } = await bench({}, { retryIntervalsMs: () => [50_000, 900_000] });
    const connector = hosts([down.port, 0]);
    const { nextHop } = deliveryJob(connector);
    const round = () => Promise.all(Array.from({ length: 20 }, () => send(connector)));
    const failures = () => lines.filter(({ msg }) => msg === "next hop not reached").length;
    await round();
    const rest = (delivery.backOffUntil(nextHop.key) ?? 0) - Date.now();
    expect(rest).toBeGreaterThan(40_000);
    expect(rest).toBeLessThan(61_000);
    expect(failures()).toBe(1);
    await round();
    expect(failures()).toBe(2);
  });

  test("a name is resolved; localhost by the machine itself", async () => {
    const sink = await sinkOf();
    const one = deliveryBench();
    open.push(one);
    const smartHosts = [{ host: "localhost", port: sink.port, protocol: "SMTP", priority: 0 }] as const;
    const result = await one.send(
      sendConnector({ routing: { smartHosts: [...smartHosts], ipFamilies: ["IPv4"] } }),
    );
    expect(result.outcomes[0]).toMatchObject({ result: "relayed", remoteMta: "localhost" });
  });

  test("a smart host whose name is unknown defers: it may come to be", async () => {
    const smartHosts = [{ host: "later.test", protocol: "SMTP", priority: 0 }] as const;
    const result = await (await bench()).send(sendConnector({ routing: { smartHosts: [...smartHosts] } }));
    expect(resultsOf(result)).toEqual(["deferred 4.4.4"]);
  });

  test("mail leaves from the source address", async () => {
    const sink = await sinkOf();
    const other = await sinkOf({ host: "127.0.0.2" });
    const { send } = await bench();
    const routing = {
      smartHosts: [{ host: "127.0.0.2", port: other.port, protocol: "SMTP", priority: 0 }],
    } as const;
    const result = await send(
      sendConnector({ routing: { smartHosts: [...routing.smartHosts] }, sourceIPAddress: "127.0.0.3" }),
    );
    expect(resultsOf(result)).toEqual(["relayed 2.0.0"]);
    expect(sink.connections).toBe(0);
  });
});
