/** Facts about leaving: no queue is left behind, nobody else's object is touched, what is owned is as it should be. */
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RESOURCES, resourcePath } from "../../lib/kube/paths.ts";
import { eventually } from "../helpers/eventually.ts";
import { freePort } from "../helpers/free-port.ts";
import { collectGarbage } from "../helpers/garbage.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { type Postroom, startPostroom } from "../helpers/postroom-cluster.ts";
import { type Sink, startSink } from "../helpers/sink.ts";

const PORT = await freePort();

describe.skipIf(kubeAssets() === undefined)("a transport that shrinks and goes", () => {
  let mail: Postroom;
  let sink: Sink;
  /** The next hop takes nothing for the moment. */
  let isShut = true;
  beforeAll(async () => {
    mail = await startPostroom();
    sink = await startSink({
      script: ({ verb }) => (verb === "MAIL" && isShut ? "451 4.3.2 Not now" : undefined),
    });
    await transport(2);
    await mail.apply("ReceiveConnector", "internet", { bindings: [{ port: PORT }] });
    await mail.apply("AcceptedDomain", "contoso", { domains: ["contoso.example"] });
    await mail.apply("SendConnector", "all", {
      addressSpaces: [{ domain: "*" }],
      routing: { type: "SmartHost", smartHosts: [{ host: sink.host, port: sink.port }] },
    });
    await mail.isReady("MailTransport", "hub");
  });
  afterAll(async () => {
    await mail?.stop();
    await sink?.close();
  });

  const transport = (replicas: number) =>
    mail.apply("MailTransport", "hub", {
      hostname: "mx.contoso.example",
      replicas,
      queue: { retryIntervals: ["1s"] },
    });
  const replicas = async () => (await mail.get("StatefulSet", "hub")).spec.replicas;

  async function send(pod: string, subject: string): Promise<string> {
    const client = await mail.dial(pod, PORT);
    const content = `Subject: ${subject}\r\n\r\nx`;
    const reply = await client.send("zoe@fabrikam.example", ["ann@contoso.example"], content);
    client.close();
    return reply;
  }

  const arrived = (subject: string) =>
    eventually(() => sink.messages.some(({ content }) => content.toString().includes(subject)));

  async function drains(pod: string): Promise<void> {
    const { message } = await mail.condition("MailTransport", "hub", { type: "Draining", status: "True" });
    expect(message).toContain(pod);
    await eventually(async () =>
      (await mail.conditionNow("MailTransport", "hub", "Draining"))?.message.includes("holds 1 message"),
    );
  }

  /** A pod that drains answers new mail 421, and closes. */
  async function takesMail(pod: string): Promise<boolean> {
    const client = await mail.dial(pod, PORT).catch(() => undefined);
    const reply = await client?.say("MAIL FROM:<zoe@fabrikam.example>").catch(() => "closed");
    client?.close();
    return reply?.startsWith("250 ") === true;
  }

  test("a pod with mail is waited for; a scale-up takes it back; delivered, it goes", async () => {
    expect(await send("hub-1", "first")).toMatch(/^250 /);
    await transport(1);
    await drains("hub-1");
    await eventually(async () => !(await takesMail("hub-1")));
    expect(await takesMail("hub-0")).toBe(true);
    expect(await replicas()).toBe(2);
    await transport(2);
    await eventually(() => takesMail("hub-1"));
    await mail.isReady("MailTransport", "hub");
    expect(await mail.conditionNow("MailTransport", "hub", "Draining")).toBeUndefined();
    await transport(1);
    await drains("hub-1");
    isShut = false;
    await arrived("first");
    await eventually(async () => (await replicas()) === 1);
    await eventually(async () => (await mail.find("TransportPod", "hub-1")) === undefined);
    await eventually(() => mail.cluster.pod("hub-1") === undefined);
    await mail.isReady("MailTransport", "hub");
  });

  test("it is not deleted in the foreground, which would take its pods first", async () => {
    const path = resourcePath(RESOURCES.MailTransport, { namespace: mail.namespace, name: "hub" });
    const body = { kind: "DeleteOptions", apiVersion: "v1", propagationPolicy: "Foreground" };
    // The policy is in force a moment after it is written: until then only a dry run is tried.
    const dry = { ...body, dryRun: ["All"] };
    const refusal = await eventually(async () => {
      const answer = await mail.server.admin("DELETE", path, { body: dry }).catch((fault: unknown) => fault);
      return answer instanceof Error ? answer.message : undefined;
    });
    expect(refusal).toMatch(/--cascade=background/);
  });

  test("deleted with mail it stays until that is delivered; of the same name made anew, it begins from nothing", async () => {
    isShut = true;
    expect(await send("hub-0", "second")).toMatch(/^250 /);
    await mail.remove("MailTransport", "hub");
    await drains("hub-0");
    expect((await mail.get("MailTransport", "hub")).metadata.deletionTimestamp).toBeDefined();
    isShut = false;
    await arrived("second");
    await eventually(async () => (await mail.find("MailTransport", "hub")) === undefined);
    // What it owned is not collected yet, and is not the new one's.
    await transport(1);
    const { message } = await mail.condition("MailTransport", "hub", {
      type: "Ready",
      status: "False",
      reason: "ApplyFailed",
    });
    expect(message).toContain("belongs to somebody else");
    await eventually(async () => {
      await collectGarbage(mail.server, mail.namespace);
      return (await mail.conditionNow("MailTransport", "hub", "Ready"))?.status === "True";
    });
    const { uid } = (await mail.get("MailTransport", "hub")).metadata;
    const head = await mail.get("TransportSnapshot", "hub");
    expect(head.metadata.ownerReferences[0].uid).toBe(uid);
    expect(head.spec).toMatchObject({ current: { revision: 1 }, history: [] });
    expect(await send("hub-0", "third")).toMatch(/^250 /);
    await arrived("third");
  });

  test("somebody else's Service is said to be in the way, and not touched; gone, it heals", async () => {
    const ports = [{ port: 80 }];
    const { metadata } = await mail.apply("Service", "edge", { ports, selector: { app: "web" } });
    await mail.apply("MailTransport", "edge", { hostname: "edge.contoso.example", replicas: 0 });
    const { message } = await mail.condition("MailTransport", "edge", {
      type: "Ready",
      status: "False",
      reason: "ApplyFailed",
    });
    expect(message).toContain(`Service "${mail.namespace}/edge" exists and belongs to somebody else`);
    expect((await mail.get("Service", "edge")).metadata.resourceVersion).toBe(metadata.resourceVersion);
    await mail.remove("Service", "edge");
    await mail.condition("MailTransport", "edge", { type: "Ready", status: "False", reason: "NoPods" });
    expect((await mail.get("Service", "edge")).metadata.ownerReferences[0].name).toBe("edge");
    await mail.remove("MailTransport", "edge");
    await eventually(async () => (await mail.find("MailTransport", "edge")) === undefined);
  });

  test.each([
    {
      kind: "Service",
      edit: { spec: { selector: { "app.kubernetes.io/instance": "web" } } },
      look: (one: Any) => one.spec.selector["app.kubernetes.io/instance"],
      want: "hub",
    },
    {
      kind: "StatefulSet",
      edit: { spec: { template: { metadata: { annotations: { x: "y" } } }, replicas: 2 } },
      look: (one: Any) => one.spec.replicas,
      want: 1,
    },
    {
      kind: "NetworkPolicy",
      edit: { spec: { policyTypes: ["Egress"] } },
      look: (one: Any) => one.spec.policyTypes,
      want: ["Ingress", "Egress"],
    },
    {
      kind: "Role",
      edit: { rules: [] },
      look: (one: Any) => one.rules?.length > 0,
      want: true,
    },
    {
      kind: "TransportPod",
      edit: { spec: { drain: true } },
      name: "hub-0",
      look: (one: Any) => one.spec.drain,
      want: false,
    },
  ] as const)(
    "$kind: an edit by hand is undone, a deletion too",
    async ({ kind, edit, look, want, ...rest }) => {
      const name = "name" in rest ? rest.name : "hub";
      await mail.patch(kind, name, edit);
      await eventually(async () => isDeepStrictEqual(look(await mail.get(kind, name)), want));
      if (kind === "StatefulSet") return;
      const { uid } = (await mail.get(kind, name)).metadata;
      await mail.remove(kind, name);
      const again = await eventually(async () => {
        const found = await mail.find(kind, name);
        return found !== undefined && found.metadata.uid !== uid ? found : undefined;
      });
      expect(look(again)).toEqual(want);
      await mail.isReady("MailTransport", "hub");
    },
  );

  test("a namespace that is deleted lets its transport go, and the others go on", async () => {
    const other = await mail.server.namespace("leaving");
    await mail.apply("MailTransport", "hub", { hostname: "x.example", replicas: 1 }, other);
    await mail.apply("AcceptedDomain", "x", { domains: ["x.example"] }, other);
    await eventually(() => mail.find("TransportSnapshot", "hub", other));
    await mail.remove("Namespace", other);
    // The namespace controller's part: everything in it is deleted, over and over.
    const types = Object.values(RESOURCES).filter(({ namespaced }) => namespaced);
    await eventually(async () => {
      for (const type of types) await mail.server.admin("DELETE", resourcePath(type, { namespace: other }));
      return (await mail.find("MailTransport", "hub", other)) === undefined;
    });
    const complaints = mail.operator.process.lines.map((line) => JSON.stringify(line));
    expect(complaints.filter((line) => line.includes("being terminated"))).toEqual([]);
    await mail.apply("AcceptedDomain", "contoso", { domains: ["contoso.example", "still.example"] });
    await mail.isReady("AcceptedDomain", "contoso");
  });
});

// biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind.
type Any = any;
