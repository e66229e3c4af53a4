/** Facts about what a user applies with kubectl: it becomes Ready, mail passes, and a change closes nothing and restarts nobody. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as yaml from "js-yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ResourceName } from "../../lib/kube/paths.ts";
import { testCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { type Postroom, startPostroom } from "../helpers/postroom-cluster.ts";
import { run } from "../helpers/run.ts";
import { type Sink, startSink } from "../helpers/sink.ts";

const SAMPLE = join(import.meta.dirname, "../../samples/contoso");
const KINDS = ["mailtransports", "receiveconnectors", "sendconnectors", "accepteddomains", "transportrules"];
// As the sample has it.
const PORT = 2525;
const NEW_PORT = 2526;
const CHANGES = 20;
const hasKubectl = (await run("kubectl", ["version", "--client"])).status === 0;

describe.skipIf(kubeAssets() === undefined)("the sample, applied as a user does", () => {
  let mail: Postroom;
  let sink: Sink;
  beforeAll(async () => {
    mail = await startPostroom();
    sink = await startSink();
    const { cert, key } = await testCertificate("mx.contoso.example");
    await mail.secret("mx-tls", { "tls.crt": cert, "tls.key": key });
    if (!hasKubectl) await mail.secret("mail-users", { users: "ann@contoso.example:demo" }, "Opaque");
  });
  afterAll(async () => {
    await mail?.stop();
    await sink?.close();
  });

  test("it becomes Ready, and kubectl wait ends for every kind", async () => {
    if (hasKubectl) expect(await mail.kubectl("apply", "-f", SAMPLE)).toMatchObject({ status: 0 });
    else for (const { kind, metadata, spec } of sampleObjects()) await mail.apply(kind, metadata.name, spec);
    await mail.patch("MailTransport", "hub", { spec: { replicas: 2 } });
    await Promise.all([mail.cluster.ready("hub-0"), mail.cluster.ready("hub-1")]);
    for (const { kind, metadata } of sampleObjects()) await mail.isReady(kind, metadata.name);
    for (const kind of hasKubectl ? KINDS : []) {
      const waited = await mail.kubectl("wait", "--for=condition=Ready", kind, "--all", "--timeout=40s");
      expect(waited).toMatchObject({ status: 0 });
    }
  });

  test("mail over STARTTLS, with the Secret's certificate, is delivered", async () => {
    const client = await mail.dial("hub-1", PORT);
    await client.startTls("mx.contoso.example");
    expect(client.certificateName()).toBe("mx.contoso.example");
    const reply = await client.send(
      "zoe@fabrikam.example",
      ["bob@contoso.example"],
      "Subject: Hello\r\n\r\nHi",
    );
    expect(reply).toMatch(/^250 /);
    client.close();
    const folder = join(mail.pod("hub-1").place.state, "drop/mailboxes");
    const file = await eventually(() => readdirSync(folder).find((name) => name.endsWith(".eml")));
    expect(readFileSync(join(folder, file), "utf8")).toContain("Subject: [EXTERNAL] Hello");
  });

  test("a connector on a new port opens it, and deleted closes it; open sessions go on, no pod restarts", async () => {
    const pods = ["hub-0", "hub-1"];
    const sessions = await Promise.all(pods.map((pod) => mail.dial(pod, PORT)));
    const ranges = ["0.0.0.0/0"];
    await mail.apply("ReceiveConnector", "second", {
      bindings: [{ port: NEW_PORT }],
      remoteIPRanges: ranges,
    });
    await mail.isReady("ReceiveConnector", "second");
    for (const pod of pods) expect(await mail.listens(pod, NEW_PORT)).toBe(true);
    const { spec } = await mail.get("Service", "hub");
    expect(spec.ports.map(({ port }: { port: number }) => port)).toContain(NEW_PORT);
    await mail.remove("ReceiveConnector", "second");
    for (const pod of pods) await eventually(async () => !(await mail.listens(pod, NEW_PORT)));
    for (const session of sessions) {
      expect(await session.say("NOOP")).toMatch(/^250 /);
      session.close();
    }
    expect(mail.cluster.rolls).toBe(0);
    expect(mail.cluster.pods().map(({ restarts }) => restarts)).toEqual([0, 0]);
  });

  test("a rule changed 20 times under load: no transaction fails, and after Ready no message has an earlier form", async () => {
    const hosts = [{ host: sink.host, port: sink.port }];
    const routing = { type: "SmartHost", smartHosts: hosts, directory: null };
    await mail.patch("SendConnector", "mailboxes", { spec: { routing } });
    const change = async (form: number) => {
      const conditions = { recipientDomainIs: ["contoso.example"] };
      await mail.apply("TransportRule", "form", {
        priority: 1,
        conditions,
        actions: { prependSubject: `form${form} ` },
      });
      await mail.isReady("TransportRule", "form");
    };
    await mail.isReady("SendConnector", "mailboxes");
    await change(0);
    /** Form that was Ready when a message began. */
    const begun: number[] = [];
    const replies: string[] = [];
    let ready = 0;
    let isOver = false;
    const load = async (pod: string) => {
      const client = await mail.dial(pod, PORT);
      while (!isOver) {
        const number = begun.push(ready) - 1;
        const content = `Subject: load${number}.\r\n\r\nx`;
        replies.push(await client.send("zoe@fabrikam.example", ["ann@contoso.example"], content));
      }
      client.close();
    };
    const loads = ["hub-0", "hub-1"].map(load);
    for (let form = 1; form <= CHANGES; form += 1) {
      await change(form);
      ready = form;
    }
    isOver = true;
    await Promise.all(loads);
    expect(replies.filter((reply) => !reply.startsWith("250 "))).toEqual([]);
    await sink.messagesReach(begun.length);
    const seen = sink.messages.map(({ content }) => subjectOf(content.toString()));
    expect(seen.map(({ number }) => number).toSorted((a, b) => a - b)).toEqual([...begun.keys()]);
    const stale = seen.filter(({ number, form }) => !(form >= (begun[number] ?? 0) && form <= CHANGES));
    expect(stale).toEqual([]);
    // It was a load: every form but the last few was seen in some message.
    expect(new Set(seen.map(({ form }) => form)).size).toBeGreaterThan(CHANGES / 2);
    expect(mail.cluster.rolls).toBe(0);
  });
});

interface SampleObject {
  readonly kind: ResourceName;
  readonly metadata: { readonly name: string };
  readonly spec: object;
}

/** All but Secrets. */
function sampleObjects(): SampleObject[] {
  const texts = readdirSync(SAMPLE).map((file) => readFileSync(join(SAMPLE, file), "utf8"));
  const objects = texts.flatMap((text) => yaml.loadAll(text) as SampleObject[]);
  return objects.filter(({ kind }) => kind !== "Secret");
}

/** "form7 ... load12." of a message that met the rule once. */
function subjectOf(content: string): { readonly form: number; readonly number: number } {
  const [, form, number] =
    /^Subject: (?:\[EXTERNAL\] )?form(\d+) (?:\[EXTERNAL\] )?load(\d+)\./m.exec(content) ?? [];
  return { form: Number(form), number: Number(number) };
}
