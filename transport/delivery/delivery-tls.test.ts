/** TLS towards the next hop. */
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import type { CertificateAndKey } from "../../lib/certificate.ts";
import { expiredCertificate, testAuthority, testCertificate } from "../../test/helpers/certificate.ts";
import { deliveryBench, resultsOf, sendConnector } from "../../test/helpers/delivery.ts";
import { type Sink, type SinkOptions, startSink } from "../../test/helpers/sink.ts";

let ca: CertificateAndKey;
let good: CertificateAndKey;
let mismatching: CertificateAndKey;
let expired: CertificateAndKey;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  ca = await testAuthority();
  good = await testCertificate("mx.test", "127.0.0.1");
  mismatching = await testCertificate("other.test");
  expired = await expiredCertificate("mx.test", "127.0.0.1");
});

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function sinkOf(options: SinkOptions = {}): Promise<Sink> {
  const sink = await startSink(options);
  open.push(sink);
  return sink;
}

function bench(secrets: Record<string, Record<string, string>> = {}) {
  const one = deliveryBench({ secretsAre: new Map(Object.entries(secrets)) });
  open.push(one);
  return one;
}

describe("deliver(), TLS", () => {
  test("Opportunistic encrypts with any certificate when STARTTLS is offered", async () => {
    const sink = await sinkOf({ certificate: expired });
    const result = await bench().send(sendConnector({ port: sink.port }));
    expect(resultsOf(result)).toEqual(["relayed 2.0.0"]);
    expect(result.tls).toMatch(/^TLSv1\.3 TLS_/);
    expect(sink.messages[0]?.tls).toBe(true);
  });

  test("None does not encrypt even if offered", async () => {
    const sink = await sinkOf({ certificate: good });
    await bench().send(sendConnector({ port: sink.port, tls: { mode: "None" } }));
    expect(sink.messages[0]?.tls).toBe(false);
  });

  test.each([
    {
      name: "refuses STARTTLS",
      script: ({ verb }: { verb: string }) => (verb === "STARTTLS" ? "454 4.7.0 not now" : undefined),
      connections: 1,
    },
    {
      name: "closes at STARTTLS",
      script: ({ verb }: { verb: string }) => (verb === "STARTTLS" ? { close: true } : undefined),
      connections: 2,
    },
    {
      name: "talks garbage instead of TLS",
      script: ({ verb }: { verb: string }) => (verb === "TLS" ? { raw: "what is this\r\n" } : undefined),
      connections: 2,
    },
    {
      name: "resets during the handshake",
      script: ({ verb }: { verb: string }) => (verb === "TLS" ? { destroy: true } : undefined),
      connections: 2,
    },
    {
      name: "never answers the handshake",
      script: ({ verb }: { verb: string }) => (verb === "TLS" ? { silent: true } : undefined),
      connections: 2,
    },
  ])(
    "Opportunistic goes on in clear text when the host $name, and remembers it",
    async ({ script, connections }) => {
      const sink = await sinkOf({ certificate: good, script });
      const { send, delivery, lines } = bench();
      const connector = sendConnector({
        port: sink.port,
        connectionTimeoutMs: 2000,
        connectionInactivityTimeoutMs: 2000,
        smtpMaxMessagesPerConnection: 1,
      });
      expect(resultsOf(await send(connector))).toEqual(["relayed 2.0.0"]);
      expect(sink.messages[0]?.tls).toBe(false);
      expect(sink.connections).toBe(connections);
      await send(connector);
      expect(sink.connections).toBe(connections + 1);
      delivery.reset("default/out");
      await send(connector);
      expect(sink.connections).toBe(2 * connections + 1);
      const warned = lines.filter(({ msg }) => msg === "tls failed, going on in clear text");
      expect(warned).toHaveLength(connections === 2 ? 2 : 0);
    },
  );

  test.each([
    { name: "is not offered", options: () => ({}), want: "deferred 4.7.5" },
    {
      name: "is refused",
      options: () => ({
        certificate: good,
        script: ({ verb }: { verb: string }) => (verb === "STARTTLS" ? "454 4.7.0 not now" : undefined),
      }),
      want: "deferred 4.7.0",
    },
    {
      name: "fails",
      options: () => ({
        certificate: good,
        script: ({ verb }: { verb: string }) => (verb === "TLS" ? { destroy: true } : undefined),
      }),
      want: "deferred 4.7.5",
    },
  ])("Required defers when TLS $name", async ({ options, want }) => {
    const sink = await sinkOf(options());
    const { send } = bench();
    const connector = sendConnector({ port: sink.port, tls: { mode: "Required" } });
    const result = await send(connector);
    expect(result.outcomes[0]?.status.slice(0, 4)).toBe(want.slice(9, 13));
    expect(result.outcomes[0]?.result).toBe("deferred");
    expect(sink.messages).toEqual([]);
    expect(sink.commands.some((line) => line.includes("MAIL"))).toBe(false);
  });

  test("Required takes any certificate; a message that demands TLS makes Opportunistic Required", async () => {
    const sink = await sinkOf({ certificate: mismatching });
    const clear = await sinkOf();
    const { send } = bench();
    expect(resultsOf(await send(sendConnector({ port: sink.port, tls: { mode: "Required" } })))).toEqual([
      "relayed 2.0.0",
    ]);
    const demanding = sendConnector({ name: "default/b", port: clear.port });
    const result = await send(demanding, { requireTls: true });
    expect(result.outcomes[0]?.result).toBe("deferred");
    expect(clear.messages).toEqual([]);
  });

  test.each([
    { name: "a good certificate passes", certificate: () => good, want: "relayed" },
    { name: "a mismatching one does not", certificate: () => mismatching, want: "deferred" },
    { name: "an expired one does not", certificate: () => expired, want: "deferred" },
  ])("VerifyName: $name", async ({ certificate, want }) => {
    for (const implicitTls of [false, true]) {
      const sink = await sinkOf({ certificate: certificate(), implicitTls });
      const { send } = bench({ "default/ca": { "ca.crt": ca.cert } });
      const tls = {
        mode: "VerifyName",
        ca: "default/ca",
        serverName: "mx.test",
        implicit: implicitTls,
      } as const;
      const result = await send(sendConnector({ port: sink.port, tls }));
      expect(result.outcomes[0]?.result).toBe(want);
      expect(sink.messages).toHaveLength(want === "relayed" ? 1 : 0);
      if (want === "relayed") expect(sink.lastTls?.servername).toBe("mx.test");
      else expect(result.outcomes[0]?.status).toBe("4.7.5");
    }
  });

  test("VerifyName trusts the system's roots only, when no CA is given", async () => {
    const sink = await sinkOf({ certificate: good });
    const result = await bench().send(sendConnector({ port: sink.port, tls: { mode: "VerifyName" } }));
    expect(resultsOf(result)).toEqual(["deferred 4.7.5"]);
  });

  test("the client certificate is presented", async () => {
    const sink = await sinkOf({ certificate: good, requestCert: true });
    const client = await testCertificate("hub.test");
    const { send } = bench({ "default/client": { "tls.crt": client.cert, "tls.key": client.key } });
    await send(
      sendConnector({ port: sink.port, tls: { mode: "Required", clientCertificate: "default/client" } }),
    );
    expect(sink.lastTls?.clientName).toBe("hub.test");
  });

  test("replies smuggled in behind 220 before the handshake are not believed", async () => {
    const script = ({ verb }: { verb: string }) =>
      verb === "STARTTLS" ? { raw: "220 go on\r\n250-evil\r\n250 REQUIRETLS\r\n" } : undefined;
    const sink = await sinkOf({ certificate: good, script });
    const connector = sendConnector({ port: sink.port, tls: { mode: "Required", ca: "default/ca" } });
    const trusting = bench({ "default/ca": { "ca.crt": ca.cert } });
    const result = await trusting.send(connector, { requireTls: true, envelope: { requireTls: true } });
    expect(resultsOf(result)).toEqual(["failed 5.7.30"]);
  });

  test("extensions offered before TLS are forgotten after it", async () => {
    const script = ({ verb, tls }: { verb: string; tls: boolean }) =>
      verb === "EHLO" && tls ? "250 sink.test" : undefined;
    const sink = await sinkOf({ certificate: good, script });
    const result = await bench().send(sendConnector({ port: sink.port }));
    expect(resultsOf(result)).toEqual(["relayed-no-dsn 2.0.0"]);
    expect(sink.messages[0]?.parameters).toBe("");
  });

  test("REQUIRETLS is passed on to a host that offers it over TLS and proves its name", async () => {
    const sink = await sinkOf({ certificate: good, extensions: ["REQUIRETLS"] });
    const trusting = bench({ "default/ca": { "ca.crt": ca.cert } });
    const result = await trusting.send(sendConnector({ port: sink.port, tls: { ca: "default/ca" } }), {
      requireTls: true,
      envelope: { requireTls: true },
    });
    expect(resultsOf(result)).toEqual(["relayed-no-dsn 2.0.0"]);
    expect(sink.messages[0]?.parameters).toBe("REQUIRETLS");
  });

  test("REQUIRETLS takes no unproven certificate, nor a kept connection that nobody proved", async () => {
    const sink = await sinkOf({ certificate: good, extensions: ["REQUIRETLS"] });
    const { send } = bench();
    const connector = sendConnector({ port: sink.port });
    expect(resultsOf(await send(connector, { requireTls: true }))).toEqual(["relayed-no-dsn 2.0.0"]);
    const result = await send(connector, { requireTls: true, envelope: { requireTls: true } });
    expect(resultsOf(result)).toEqual(["deferred 4.7.5"]);
    expect(sink.messages).toHaveLength(1);
  });
});
