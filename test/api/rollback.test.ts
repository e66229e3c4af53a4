/** Facts about spec.rollbackTo: an earlier revision is in force until it is taken out. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../helpers/free-port.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { type Postroom, startPostroom } from "../helpers/postroom-cluster.ts";

const PORT = await freePort();
const PODS = ["hub-0", "hub-1"];

describe.skipIf(kubeAssets() === undefined)("spec.rollbackTo", () => {
  let mail: Postroom;
  /** Before and after the domain beta.example came. */
  let alpha: number;
  let beta: number;
  beforeAll(async () => {
    mail = await startPostroom();
    await pin(undefined);
    await mail.apply("ReceiveConnector", "internet", { bindings: [{ port: PORT }], tarpitInterval: "0s" });
    await domains("alpha.example");
    await mail.isReady("MailTransport", "hub");
    await mail.isReady("AcceptedDomain", "all");
    alpha = await revision();
    await domains("alpha.example", "beta.example");
    await mail.isReady("AcceptedDomain", "all");
    beta = await revision();
  });
  afterAll(async () => mail?.stop());

  const pin = (rollbackTo: number | undefined) =>
    mail.apply("MailTransport", "hub", { hostname: "mx.contoso.example", replicas: 2, rollbackTo });
  const domains = (...names: readonly string[]) => mail.apply("AcceptedDomain", "all", { domains: names });
  const revision = async () => (await mail.get("TransportSnapshot", "hub")).spec.current.revision;

  /** What each pod says to a recipient. */
  async function rcpt(domain: string): Promise<string[]> {
    return Promise.all(
      PODS.map(async (pod) => {
        const client = await mail.dial(pod, PORT);
        await client.say("MAIL FROM:<zoe@fabrikam.example>");
        const reply = await client.say(`RCPT TO:<ann@${domain}>`);
        client.close();
        return reply.slice(0, 3);
      }),
    );
  }

  async function isPinned(): Promise<void> {
    const { message } = await mail.condition("MailTransport", "hub", {
      type: "Programmed",
      status: "False",
      reason: "Pinned",
    });
    expect(message).toContain(`${alpha}`);
    await mail.condition("AcceptedDomain", "all", { type: "Programmed", status: "False", reason: "Pinned" });
    await expect.poll(() => rcpt("beta.example")).toEqual(["550", "550"]);
    expect(await rcpt("alpha.example")).toEqual(["250", "250"]);
  }

  test("an earlier revision is in force in every pod, and the status says Pinned", async () => {
    expect(beta).toBeGreaterThan(alpha);
    expect(await rcpt("beta.example")).toEqual(["250", "250"]);
    await pin(alpha);
    await isPinned();
    expect(await revision()).toBe(alpha);
  });

  test("neither an edit nor another operator gets past it", async () => {
    await domains("alpha.example", "beta.example", "gamma.example");
    await isPinned();
    await mail.upgrade();
    await mail.condition("MailTransport", "hub", { type: "Ready", status: "False", reason: "Pinned" });
    await isPinned();
    expect(await revision()).toBe(alpha);
  });

  test("taken out, the newest is in force", async () => {
    await pin(undefined);
    await mail.isReady("MailTransport", "hub");
    await mail.isReady("AcceptedDomain", "all");
    expect(await rcpt("gamma.example")).toEqual(["250", "250"]);
    expect(await revision()).toBeGreaterThan(beta);
  });

  test("a revision that is not there is said to be none, and what is in force stays", async () => {
    const before = await revision();
    await pin(999);
    const { message } = await mail.condition("MailTransport", "hub", {
      type: "Programmed",
      status: "False",
      reason: "Pinned",
    });
    expect(message).toContain("no revision 999");
    expect(await revision()).toBe(before);
    expect(await rcpt("gamma.example")).toEqual(["250", "250"]);
  });
});
