/** Facts about what is wrong only in a pod or in the cluster: it falls back alone, says why, and all else goes on. */
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { freePort } from "../helpers/free-port.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { type Postroom, startPostroom } from "../helpers/postroom-cluster.ts";
import { type Sink, startSink } from "../helpers/sink.ts";

const PORT = await freePort();
const [OLD, TAKEN, FREE] = [3001, 3002, 3003];
const PODS = ["hub-0", "hub-1"];
const EVERYBODY = { remoteIPRanges: ["0.0.0.0/0"] };

describe.skipIf(kubeAssets() === undefined)("what a pod or the cluster refuses", () => {
  let mail: Postroom;
  let sink: Sink;
  let blocker: Server;
  beforeAll(async () => {
    mail = await startPostroom();
    sink = await startSink();
    await giveCertificate("first.contoso.example");
    await mail.apply("MailTransport", "hub", { hostname: "mx.contoso.example", replicas: 2 });
    await mail.apply("ReceiveConnector", "internet", {
      ...EVERYBODY,
      bindings: [{ port: PORT }],
      authMechanisms: ["Tls"],
      tls: { mode: "Opportunistic", certificateRefs: [{ name: "mx-tls" }] },
    });
    await mail.apply("ReceiveConnector", "app", { ...EVERYBODY, bindings: [{ port: OLD }] });
    await domains("contoso.example");
    await mail.apply("SendConnector", "all", {
      addressSpaces: [{ domain: "*" }],
      routing: { type: "SmartHost", smartHosts: [{ host: sink.host, port: sink.port }] },
    });
    await mail.apply("TransportRule", "block", {
      conditions: { subjectContainsWords: ["forbidden"] },
      actions: { rejectMessage: { enhancedStatusCode: "5.7.1", reasonText: "Not here" } },
    });
    for (const pod of PODS) await mail.cluster.ready(pod);
    await mail.isReady("ReceiveConnector", "app");
    blocker = createServer().listen(TAKEN, mail.pod("hub-1").place.address);
    await once(blocker, "listening");
  });
  afterAll(async () => {
    blocker?.close();
    await mail?.stop();
    await sink?.close();
  });

  const domains = (...names: readonly string[]) => mail.apply("AcceptedDomain", "all", { domains: names });

  async function giveCertificate(name: string): Promise<void> {
    const { cert, key } = await testCertificate(name);
    await mail.secret("mx-tls", { "tls.crt": cert, "tls.key": key });
  }

  /** The change gets in force in both pods. */
  async function takesDomain(name: string): Promise<void> {
    await mail.isReady("AcceptedDomain", "all");
    for (const pod of PODS) {
      const client = await mail.dial(pod, PORT);
      await client.say("MAIL FROM:<zoe@fabrikam.example>");
      expect(await client.say(`RCPT TO:<ann@${name}>`)).toMatch(/^250 /);
      client.close();
    }
  }

  async function certificateOf(pod: string): Promise<string | undefined> {
    const client = await mail.dial(pod, PORT);
    await client.startTls();
    const name = client.certificateName();
    client.close();
    return name;
  }

  test("a connector moved to a taken port keeps its old one, says so, and a change beside it gets in force", async () => {
    await Promise.all([
      mail.apply("ReceiveConnector", "app", { ...EVERYBODY, bindings: [{ port: TAKEN }] }),
      domains("contoso.example", "beside.example"),
    ]);
    const { message, reason } = await mail.condition("ReceiveConnector", "app", {
      type: "PartiallyInvalid",
      status: "True",
    });
    expect(reason).toBe("Nacked");
    expect(message).toContain("hub-1");
    expect(message).toContain(`${TAKEN}`);
    expect(message).toMatch(/another program listens there/);
    await takesDomain("beside.example");
    for (const pod of PODS) expect(await mail.listens(pod, OLD)).toBe(true);
    expect(await mail.listens("hub-0", TAKEN)).toBe(false);
    await domains("contoso.example", "after.example");
    await takesDomain("after.example");
  });

  test("mended by an edit, it moves", async () => {
    await mail.apply("ReceiveConnector", "app", { ...EVERYBODY, bindings: [{ port: FREE }] });
    await mail.isReady("ReceiveConnector", "app");
    expect(await mail.conditionNow("ReceiveConnector", "app", "PartiallyInvalid")).toBeUndefined();
    for (const pod of PODS) {
      expect(await mail.listens(pod, FREE)).toBe(true);
      await eventually(async () => !(await mail.listens(pod, OLD)));
    }
  });

  test("a new connector on a taken port is left out, and a change after it gets in force", async () => {
    await mail.apply("ReceiveConnector", "new", { ...EVERYBODY, bindings: [{ port: TAKEN }] });
    const { message } = await mail.condition("ReceiveConnector", "new", { type: "Ready", status: "False" });
    expect(message).toContain(`${TAKEN}`);
    await domains("contoso.example", "third.example");
    await takesDomain("third.example");
    await mail.remove("ReceiveConnector", "new");
    await mail.isReady("MailTransport", "hub");
  });

  test("garbage for a certificate leaves the old one in use, also across a restart, and a change beside it gets in force", async () => {
    await mail.patch("Secret", "mx-tls", { data: { "tls.crt": Buffer.from("garbage").toString("base64") } });
    const { message } = await mail.condition("ReceiveConnector", "internet", {
      type: "ResolvedRefs",
      status: "False",
      reason: "InvalidCertificate",
    });
    expect(message).toContain("mx-tls");
    expect(message).toContain("tls.crt");
    await domains("contoso.example", "fourth.example");
    await takesDomain("fourth.example");
    const { process } = mail.pod("hub-0");
    await process.kill("SIGKILL");
    await eventually(() => mail.pod("hub-0").process !== process);
    await eventually(() => mail.listens("hub-0", PORT));
    for (const pod of PODS) expect(await certificateOf(pod)).toBe("first.contoso.example");
  });

  test("a mended Secret is served without a restart", async () => {
    const before = mail.cluster.pods().map(({ process }) => process.pid);
    await giveCertificate("second.contoso.example");
    await mail.isReady("ReceiveConnector", "internet");
    for (const pod of PODS) {
      await eventually(async () => (await certificateOf(pod)) === "second.contoso.example");
    }
    expect(mail.cluster.pods().map(({ process }) => process.pid)).toEqual(before);
  });

  test("a rule that names a connector which is not there blocks on in its old form", async () => {
    await mail.apply("TransportRule", "block", {
      conditions: { subjectContainsWords: ["forbidden"] },
      actions: { routeMessageOutboundConnector: "nowhere" },
    });
    const { message } = await mail.condition("TransportRule", "block", {
      type: "PartiallyInvalid",
      status: "True",
    });
    expect(message).toMatch(/Fall Back:/);
    const unresolved = await mail.conditionNow("TransportRule", "block", "ResolvedRefs");
    expect(unresolved).toMatchObject({ status: "False", reason: "ConnectorNotFound" });
    expect(unresolved?.message).toContain("nowhere");
    await domains("contoso.example", "fifth.example");
    await takesDomain("fifth.example");
    const client = await mail.dial("hub-0", PORT);
    const content = "Subject: forbidden\r\n\r\nx";
    expect(await client.send("zoe@fabrikam.example", ["ann@contoso.example"], content)).toMatch(/^250 /);
    client.close();
    await sink.messagesReach(1);
    expect(sink.messages.map(({ sender }) => sender)).toEqual([""]);
    expect(sink.messages[0]?.content.toString()).toContain("5.7.1");
  });
});
