/** What becomes of recipients by what the remote answers, or fails to. */
import { afterEach, describe, expect, test } from "vitest";
import { deliveryBench, resultsOf, sendConnector } from "../../test/helpers/delivery.ts";
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

type Script = (event: SinkEvent) => SinkAnswer;
const at =
  (verb: string, answer: SinkAnswer): Script =>
  (event) =>
    event.verb === verb ? answer : undefined;

describe("deliver(), by the remote's answers", () => {
  const rows: { name: string; script: Script; want: string[]; rest?: boolean; extensions?: string[] }[] = [
    {
      name: "4yz at MAIL defers",
      script: at("MAIL", "451 4.3.0 later"),
      want: ["deferred 4.3.0", "deferred 4.3.0"],
    },
    { name: "5yz at MAIL fails", script: at("MAIL", "550 5.7.1 no"), want: ["failed 5.7.1", "failed 5.7.1"] },
    {
      name: "5yz without a status is 5.0.0",
      script: at("RCPT", "550 no"),
      want: ["failed 5.0.0", "failed 5.0.0"],
    },
    {
      name: "a status of the wrong class is not believed",
      script: at("RCPT", "550 4.1.1 no"),
      want: ["failed 5.0.0", "failed 5.0.0"],
    },
    {
      name: "3yz at MAIL is no acceptance",
      script: at("MAIL", "354 go ahead"),
      want: ["deferred 4.5.0", "deferred 4.5.0"],
    },
    {
      name: "3yz at RCPT is no acceptance",
      script: at("RCPT", "354 go ahead"),
      want: ["deferred 4.5.0", "deferred 4.5.0"],
    },
    {
      name: "one refused recipient does not harm the other",
      script: ({ verb, argument }) =>
        verb === "RCPT" && argument.includes("ann") ? "550 5.1.1 no" : undefined,
      want: ["failed 5.1.1", "relayed 2.0.0"],
    },
    {
      name: "4yz at DATA defers",
      script: at("DATA", "451 4.3.0 later"),
      want: ["deferred 4.3.0", "deferred 4.3.0"],
    },
    {
      name: "250 at DATA is not trusted",
      script: at("DATA", "250 ok"),
      want: ["deferred 4.4.2", "deferred 4.4.2"],
      rest: true,
    },
    {
      name: "5yz after the content fails",
      script: at("CONTENT", "554 5.6.0 spam"),
      want: ["failed 5.6.0", "failed 5.6.0"],
    },
    {
      name: "4yz after the content defers",
      script: at("CONTENT", "452 4.3.1 full"),
      want: ["deferred 4.3.1", "deferred 4.3.1"],
    },
    {
      name: "354 although MAIL was refused sends nothing",
      script: ({ verb }) => (verb === "MAIL" ? "550 5.7.1 no" : verb === "DATA" ? "354 go" : undefined),
      want: ["failed 5.7.1", "failed 5.7.1"],
    },
    {
      name: "354 although no recipient was taken sends nothing",
      script: ({ verb }) => (verb === "RCPT" ? "550 5.1.1 no" : verb === "DATA" ? "354 go" : undefined),
      want: ["failed 5.1.1", "failed 5.1.1"],
    },
    {
      name: "421 at MAIL defers and rests the next hop",
      script: at("MAIL", { reply: "421 4.3.2 closing", close: true }),
      want: ["deferred 4.3.2", "deferred 4.3.2"],
      rest: true,
    },
    {
      name: "a close at MAIL",
      script: at("MAIL", { close: true }),
      want: ["deferred 4.4.2", "deferred 4.4.2"],
      rest: true,
    },
    {
      name: "a reset at RCPT",
      script: at("RCPT", { destroy: true }),
      want: ["deferred 4.4.2", "deferred 4.4.2"],
      rest: true,
    },
    {
      name: "a close at DATA",
      script: at("DATA", { close: true }),
      want: ["deferred 4.4.2", "deferred 4.4.2"],
      rest: true,
    },
    {
      name: "a close before the final reply",
      script: at("CONTENT", { close: true }),
      want: ["deferred 4.4.2", "deferred 4.4.2"],
      rest: true,
    },
    {
      name: "garbage at RCPT",
      script: at("RCPT", { raw: "\x00\xff what\r\n" }),
      want: ["deferred 4.4.2", "deferred 4.4.2"],
      rest: true,
    },
    {
      name: "a reply that never ends",
      script: at("MAIL", { raw: `250-${"x".repeat(70_000)}` }),
      want: ["deferred 4.4.2", "deferred 4.4.2"],
      rest: true,
    },
    {
      name: "a million continuation lines",
      script: at("MAIL", { raw: "250-x\r\n".repeat(150_000) }),
      want: ["deferred 4.4.2", "deferred 4.4.2"],
      rest: true,
    },
    {
      name: "a close at the greeting",
      script: at("CONNECT", { close: true }),
      want: ["deferred 4.4.1", "deferred 4.4.1"],
      rest: true,
    },
    {
      name: "4yz at the greeting",
      script: at("CONNECT", "450 4.3.2 busy"),
      want: ["deferred 4.3.2", "deferred 4.3.2"],
      rest: true,
    },
    {
      name: "5yz at the greeting of the only host fails",
      script: at("CONNECT", "554 5.3.2 no mail here"),
      want: ["failed 5.3.2", "failed 5.3.2"],
    },
    {
      name: "421 at EHLO",
      script: at("EHLO", "421 4.3.2 closing"),
      want: ["deferred 4.3.2", "deferred 4.3.2"],
      rest: true,
    },
    {
      name: "5yz at EHLO falls back to HELO",
      script: at("EHLO", "502 5.5.1 what"),
      want: ["relayed-no-dsn 2.0.0", "relayed-no-dsn 2.0.0"],
    },
    {
      name: "RSET refused only costs the connection",
      script: ({ verb }) => (verb === "RSET" ? "500 no" : verb === "MAIL" ? "550 5.7.1 no" : undefined),
      want: ["failed 5.7.1", "failed 5.7.1"],
    },
  ];

  const both = rows.flatMap((row) => [
    { ...row, how: "pipelined", extensions: ["PIPELINING", "DSN"] },
    { ...row, how: "step by step", extensions: ["DSN"] },
  ]);

  test.each(both)("$name ($how)", async ({ script, want, rest = false, extensions }) => {
    const sink = await sinkOf({ script, extensions });
    const { send, delivery } = bench();
    const result = await send(sendConnector({ port: sink.port }), { to: ["ann@x.example", "bob@x.example"] });
    expect(resultsOf(result)).toEqual(want);
    expect(result.backOffUntil !== undefined).toBe(rest);
    if (!want.some((line) => line.startsWith("relayed"))) expect(sink.messages).toEqual([]);
    await delivery.close();
    expect(delivery.stats()).toEqual({ connections: 0, idle: 0 });
  });

  test.each([
    { name: "never greets", script: at("CONNECT", { silent: true }), want: "deferred 4.4.1" },
    { name: "never answers EHLO", script: at("EHLO", { silent: true }), want: "deferred 4.4.1" },
    { name: "never answers MAIL", script: at("MAIL", { silent: true }), want: "deferred 4.4.2" },
    { name: "never answers DATA", script: at("DATA", { silent: true }), want: "deferred 4.4.2" },
  ])("a remote that $name is given up after the connector's timeouts", async ({ script, want }) => {
    const sink = await sinkOf({ script });
    const { send, delivery } = bench();
    const connector = sendConnector({
      port: sink.port,
      connectionTimeoutMs: 1500,
      connectionInactivityTimeoutMs: 1500,
    });
    const start = Date.now();
    const result = await send(connector);
    expect(resultsOf(result)).toEqual([want]);
    expect(Date.now() - start).toBeLessThan(20_000);
    expect(delivery.stats().connections).toBe(0);
  });

  test("a failed envelope is followed by RSET before the connection is used again", async () => {
    const sink = await sinkOf({
      script: ({ verb, nth }) => (verb === "RCPT" && nth === 1 ? "550 5.1.1 no" : undefined),
    });
    const { send } = bench();
    const connector = sendConnector({ port: sink.port });
    expect(resultsOf(await send(connector))).toEqual(["failed 5.1.1"]);
    expect(resultsOf(await send(connector))).toEqual(["relayed 2.0.0"]);
    expect(sink.connections).toBe(1);
    expect(sink.commands.filter((line) => line.endsWith("RSET"))).toHaveLength(1);
  });

  test("too many recipients: the rest follows at once in further envelopes", async () => {
    const script: Script = ({ verb, nth }) =>
      verb === "RCPT" && nth % 4 === 0 ? "452 4.5.3 too many recipients" : undefined;
    const sink = await sinkOf({ script });
    const to = Array.from({ length: 10 }, (_, index) => `r${index}@x.example`);
    const result = await bench().send(sendConnector({ port: sink.port }), { to });
    expect(new Set(resultsOf(result))).toEqual(new Set(["relayed 2.0.0"]));
    expect(
      sink.messages.flatMap(({ recipients }) => recipients.map(({ address }) => address)).sort(),
    ).toEqual(to);
    expect(result.backOffUntil).toBeUndefined();
  });

  test("how many a remote takes is learned from its first refusal", async () => {
    let told = 0;
    const sink = await sinkOf({
      script: ({ verb }) => {
        if (verb === "MAIL") told = 0;
        if (verb !== "RCPT") return undefined;
        told += 1;
        return told > 30 ? "452 4.5.3 too many recipients" : undefined;
      },
    });
    const to = Array.from({ length: 200 }, (_, index) => `r${index}@x.example`);
    await bench().send(sendConnector({ port: sink.port }), { to });
    expect(sink.messages.map(({ recipients }) => recipients.length)).toEqual([30, 30, 30, 30, 30, 30, 20]);
    // A hundred in the first envelope, then what it took.
    expect(sink.commands.filter((line) => /^\d+ RCPT/.test(line))).toHaveLength(100 + 170);
  });

  test.each([
    { limits: "LIMITS MAILMAX=9 RCPTMAX=20", want: [20, 20, 10] },
    { limits: "LIMITS RCPTMAX=200", want: [50] },
    { limits: "LIMITS RCPTMAX=0", want: Array.from({ length: 50 }, () => 1) },
    { limits: "LIMITS RCPTMAX=many", want: [50] },
  ])("a remote that offers $limits is told no more at once", async ({ limits, want }) => {
    const sink = await sinkOf({ extensions: ["PIPELINING", limits] });
    const to = Array.from({ length: 50 }, (_, index) => `r${index}@x.example`);
    await bench().send(sendConnector({ port: sink.port }), { to });
    expect(sink.messages.map(({ recipients }) => recipients.length)).toEqual(want);
  });

  test("more than a hundred recipients go in envelopes of a hundred", async () => {
    const sink = await sinkOf();
    const to = Array.from({ length: 250 }, (_, index) => `r${index}@x.example`);
    const result = await bench().send(sendConnector({ port: sink.port }), { to });
    expect(result.outcomes).toHaveLength(250);
    expect(sink.messages.map(({ recipients }) => recipients.length)).toEqual([100, 100, 50]);
  });

  test("a long or multi-line reply becomes one short line", async () => {
    const reply = `550-5.1.1 first\r\n550-5.1.1 second \u0007\r\n550 5.1.1 ${"x".repeat(5000)}`;
    const sink = await sinkOf({ script: at("RCPT", reply) });
    const result = await bench().send(sendConnector({ port: sink.port }));
    expect(result.outcomes[0]?.text).toMatch(/^550 5\.1\.1 first second {2,3}x+…$/);
    expect(result.outcomes[0]?.text.length).toBeLessThan(600);
  });
});
