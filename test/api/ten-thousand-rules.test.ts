/** A large organisation: 10,000 rules and 100,000 domains in the API server, in force in a pod, and one of them changed. How fast is bench/cluster-size.ts. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RESOURCES, resourcePath } from "../../lib/kube/paths.ts";
import { eventually } from "../helpers/eventually.ts";
import { freePort } from "../helpers/free-port.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { type Postroom, startPostroom } from "../helpers/postroom-cluster.ts";
import { type Sink, startSink } from "../helpers/sink.ts";

const PORT = await freePort();
const RULES = 10_000;
const DOMAIN_OBJECTS = 100;
const DOMAINS_EACH = 1000;
const AT_ONCE = 16;
const LOAD_MS = 900_000;

describe.skipIf(kubeAssets() === undefined)("10,000 rules and 100,000 domains", () => {
  let mail: Postroom;
  let sink: Sink;
  beforeAll(async () => {
    mail = await startPostroom();
    sink = await startSink();
    await mail.apply("MailTransport", "hub", { hostname: "mx.contoso.example" });
    await mail.apply("ReceiveConnector", "internet", { bindings: [{ port: PORT }], tarpitInterval: "0s" });
    await mail.apply("SendConnector", "all", {
      addressSpaces: [{ domain: "*" }],
      routing: { type: "SmartHost", smartHosts: [{ host: sink.host, port: sink.port }] },
    });
    await createAll();
    await mail.isReady("MailTransport", "hub");
  }, LOAD_MS);
  afterAll(async () => {
    await mail?.stop();
    await sink?.close();
  });

  async function createAll(): Promise<void> {
    const work = [
      ...Array.from({ length: DOMAIN_OBJECTS }, (_, n) => ({
        kind: "AcceptedDomain" as const,
        name: `domains-${n}`,
        spec: { domains: Array.from({ length: DOMAINS_EACH }, (_, m) => `d${n * DOMAINS_EACH + m}.example`) },
      })),
      ...Array.from({ length: RULES }, (_, n) => ({
        kind: "TransportRule" as const,
        name: `rule-${n}`,
        spec: markRule(n, `first-${n}`),
      })),
    ].values();
    const worker = async () => {
      for (const { kind, name, spec } of work) {
        const path = resourcePath(RESOURCES[kind], { namespace: mail.namespace });
        const body = { apiVersion: "postroom.dev/v1alpha1", kind, metadata: { name }, spec };
        await mail.server.admin("POST", path, { body });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  const markRule = (n: number, mark: string) => ({
    priority: n,
    conditions: { senderDomainIs: [`sender${n}.example`] },
    actions: { setHeader: [{ name: "X-Mark", value: mark }] },
  });

  async function send(sender: string, recipient: string): Promise<string> {
    const client = await mail.dial("hub-0", PORT);
    const reply = await client.send(sender, [recipient], `From: ${sender}\r\nSubject: ${recipient}\r\n\r\nx`);
    client.close();
    return reply;
  }

  const arrived = (recipient: string, mark: string) =>
    eventually(
      () =>
        sink.messages.some(({ content }) => {
          const text = content.toString();
          return text.includes(`Subject: ${recipient}`) && text.includes(`X-Mark: ${mark}`);
        }),
      30_000,
    );

  test("all are in force, and counted", { timeout: LOAD_MS }, async () => {
    const counts = await eventually(async () => {
      const { snapshot } = (await mail.get("MailTransport", "hub")).status;
      return snapshot.counts.transportRules === RULES && snapshot.acknowledged === "1/1" && snapshot.counts;
    }, LOAD_MS);
    expect(counts).toMatchObject({ transportRules: RULES, domains: DOMAIN_OBJECTS * DOMAINS_EACH });
    expect(await send("zoe@sender9999.example", "ann@d99999.example")).toMatch(/^250 /);
    await arrived("ann@d99999.example", "first-9999");
  });

  test("each says so: the last one is Ready", { timeout: LOAD_MS }, async () => {
    await eventually(
      async () =>
        (await mail.conditionNow("TransportRule", `rule-${RULES - 1}`, "Ready"))?.status === "True" &&
        (await mail.conditionNow("AcceptedDomain", `domains-${DOMAIN_OBJECTS - 1}`, "Ready"))?.status ===
          "True",
      LOAD_MS,
    );
  });

  test("one of them changed is in force, the others stay", { timeout: LOAD_MS }, async () => {
    await mail.apply("TransportRule", "rule-5000", markRule(5000, "second"));
    await mail.isReady("TransportRule", "rule-5000");
    expect(await send("zoe@sender5000.example", "bob@d5.example")).toMatch(/^250 /);
    await arrived("bob@d5.example", "second");
    expect(await send("zoe@sender5001.example", "eve@d6.example")).toMatch(/^250 /);
    await arrived("eve@d6.example", "first-5001");
    expect(mail.pod("hub-0").restarts).toBe(0);
    expect(mail.operator.process.hasEnded).toBe(false);
  });
});
