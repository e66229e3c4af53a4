/** Credentials for the next hop, and who may see them. */
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import type { CertificateAndKey } from "../../lib/certificate.ts";
import { testCertificate } from "../../test/helpers/certificate.ts";
import { deliveryBench, resultsOf, sendConnector } from "../../test/helpers/delivery.ts";
import { type Sink, type SinkOptions, startSink } from "../../test/helpers/sink.ts";

let good: CertificateAndKey;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  good = await testCertificate("mx.test", "127.0.0.1");
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

describe("deliver(), credentials", () => {
  const users = { ann: "s3cret-word" };
  const secrets = { "default/login": { username: "ann", password: "s3cret-word" } };
  const auth = { mechanism: "Plain", secret: "default/login", allowInsecure: false } as const;

  test.each(["Plain", "Login"] as const)(
    "%s authenticates over TLS, and no log line holds the password",
    async (mechanism) => {
      const sink = await sinkOf({ certificate: good, users });
      const { send, lines } = bench(secrets);
      await send(
        sendConnector({ port: sink.port, auth: { ...auth, mechanism }, protocolLoggingLevel: "Verbose" }),
        { body: "secret body\r\n" },
      );
      expect(sink.messages[0]).toMatchObject({ user: "ann", tls: true });
      const log = JSON.stringify(lines);
      expect(log).toContain("MAIL FROM:<sender@contoso.example>");
      for (const hidden of [
        "s3cret",
        "secret body",
        Buffer.from("s3cret-word").toString("base64"),
        Buffer.from("\0ann\0s3cret-word").toString("base64"),
      ]) {
        expect(log).not.toContain(hidden);
      }
    },
  );

  test("without TLS no credentials are sent and the message waits", async () => {
    const sink = await sinkOf({ users });
    const result = await bench(secrets).send(sendConnector({ port: sink.port, auth }));
    expect(result.outcomes[0]).toMatchObject({ result: "deferred", status: "4.7.5" });
    expect(sink.commands.join()).not.toMatch(/AUTH|MAIL/);
  });

  test("allowInsecure sends them in clear text", async () => {
    const sink = await sinkOf({ users });
    await bench(secrets).send(sendConnector({ port: sink.port, auth: { ...auth, allowInsecure: true } }));
    expect(sink.messages[0]).toMatchObject({ user: "ann", tls: false });
  });

  test.each([
    {
      name: "wrong credentials",
      secrets: { "default/login": { username: "ann", password: "no" } },
      users,
      want: "4.7.8",
    },
    { name: "a host that offers no AUTH", secrets, users: undefined, want: "4.7.8" },
    { name: "a missing Secret", secrets: {}, users, want: "4.7.8" },
    {
      name: "a Secret without password",
      secrets: { "default/login": { username: "ann" } },
      users,
      want: "4.7.8",
    },
  ])("$name: the message waits", async (row) => {
    const sink = await sinkOf({
      certificate: good,
      ...(row.users === undefined ? {} : { users: row.users }),
    });
    const result = await bench(row.secrets as Record<string, Record<string, string>>).send(
      sendConnector({ port: sink.port, auth }),
    );
    expect(resultsOf(result)).toEqual([`deferred ${row.want}`]);
    expect(sink.messages).toEqual([]);
  });
});
