/** Facts about an upgrade of the operator: no pod restarts, no session ends, nothing is written; pods follow when asked. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { freePort } from "../helpers/free-port.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { type Postroom, startPostroom } from "../helpers/postroom-cluster.ts";

const PORT = await freePort();
const OLD = ["--image", "registry.example/postroom:1"];
const NEW = ["--image", "registry.example/postroom:2"];

describe.skipIf(kubeAssets() === undefined)("an operator with another default image", () => {
  let mail: Postroom;
  /** Its transport has no node, so never a pod. */
  let bare: string;
  beforeAll(async () => {
    mail = await startPostroom({ args: OLD });
    bare = await mail.server.namespace("bare");
    await mail.apply("MailTransport", "hub", { hostname: "mx.contoso.example", replicas: 2 });
    await mail.apply("MailTransport", "hub", { hostname: "mx.contoso.example", replicas: 1 }, bare);
    await mail.apply("ReceiveConnector", "internet", { bindings: [{ port: PORT }] });
    await mail.apply("AcceptedDomain", "contoso", { domains: ["contoso.example"] });
    await mail.isReady("MailTransport", "hub");
    await eventually(() => mail.find("StatefulSet", "hub", bare));
  });
  afterAll(async () => mail?.stop());

  const image = async (namespace?: string) =>
    (await mail.get("StatefulSet", "hub", namespace)).spec.template.spec.containers[0].image;

  test("rolls no pod, ends no session and writes nothing to what pods have", async () => {
    const client = await mail.dial("hub-0", PORT);
    const before = await mail.versions();
    await mail.upgrade(NEW);
    // It has come to work: a pod that was never there may have the new image.
    await eventually(async () => (await image(bare)) === NEW[1]);
    await mail.apply("AcceptedDomain", "contoso", { domains: ["contoso.example", "new.example"] });
    await mail.isReady("AcceptedDomain", "contoso");
    const owned = [...before].filter(([key]) => OWNED.test(key) && key.includes(mail.namespace));
    expect(owned.length).toBeGreaterThan(5);
    const after = await mail.versions();
    expect(owned.filter(([key, version]) => after.get(key) !== version)).toEqual([]);
    expect(await image()).toBe(OLD[1]);
    expect(mail.cluster.rolls).toBe(0);
    expect(await client.say("MAIL FROM:<zoe@fabrikam.example>")).toMatch(/^250 /);
    expect(await client.say("RCPT TO:<ann@new.example>")).toMatch(/^250 /);
    client.close();
  });

  test("rolls them when the note of the earlier default is taken away", async () => {
    const annotations = { "postroom.dev/default-image": null };
    await mail.patch("StatefulSet", "hub", { metadata: { annotations } });
    await eventually(async () => (await image()) === NEW[1]);
    await eventually(() => mail.cluster.rolls === 2);
    await mail.isReady("MailTransport", "hub");
  });

  test("leaves a transport with an image of its own alone", async () => {
    const own = "registry.example/own:7";
    await mail.patch("MailTransport", "hub", { spec: { image: own } }, bare);
    await eventually(async () => (await image(bare)) === own);
    await mail.upgrade(OLD);
    await mail.patch("MailTransport", "hub", { spec: { hostname: "new.contoso.example" } }, bare);
    await eventually(async () => {
      const { metadata, status } = await mail.get("MailTransport", "hub", bare);
      return status.observedGeneration === metadata.generation;
    });
    expect(await image(bare)).toBe(own);
    expect(await image()).toBe(NEW[1]);
  });
});

/** Beside statuses, heads and chunks: what a MailTransport owns. */
const OWNED = /^(StatefulSet|Service|ServiceAccount|NetworkPolicy|PodDisruptionBudget|RoleBinding)\//;
