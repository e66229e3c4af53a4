/** Facts about statuses in a cluster: who says what of whom, what kubectl and kstatus show, and that nothing is written for nothing. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { freePort } from "../helpers/free-port.ts";
import { kstatus } from "../helpers/kstatus.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { type Postroom, startPostroom } from "../helpers/postroom-cluster.ts";
import { run } from "../helpers/run.ts";

const KINDS = [
  "MailTransport",
  "ReceiveConnector",
  "SendConnector",
  "AcceptedDomain",
  "TransportRule",
] as const;
const PORT = await freePort();
const RULES = 300;
const QUIET_MS = 10_000;
const hasKubectl = (await run("kubectl", ["version", "--client"])).status === 0;

describe.skipIf(kubeAssets() === undefined)("statuses", () => {
  let mail: Postroom;
  /** Another namespace, whose objects want to attach. */
  let guest: string;
  beforeAll(async () => {
    mail = await startPostroom();
    guest = await mail.server.namespace("guest");
    await transport({});
    await mail.apply("ReceiveConnector", "internet", { bindings: [{ port: PORT }] });
    await mail.apply("SendConnector", "all", {
      addressSpaces: [{ domain: "*" }],
      routing: { type: "Drop", directory: "out" },
    });
    await mail.apply("AcceptedDomain", "contoso", { domains: ["contoso.example"] });
    await mail.apply("TransportRule", "mark", rule("[1] "));
  });
  afterAll(async () => mail?.stop());

  const transport = (allowedNamespaces: object) =>
    mail.apply("MailTransport", "hub", { hostname: "mx.contoso.example", replicas: 2, allowedNamespaces });
  const rule = (prependSubject: string) => ({
    conditions: { fromScope: "NotInOrganization" },
    actions: { prependSubject },
  });
  /** Waits until all are; fails with those that are not. */
  const areCurrent = (timeoutMs = 100_000) =>
    eventually(async () => {
      const lists = await Promise.all(KINDS.map((kind) => mail.list(kind)));
      const others = lists.flat().filter((one) => kstatus(one) !== "Current");
      if (others.length === 0) return true;
      throw new Error(`${others.length} are not Current: ${JSON.stringify(others[0])}`);
    }, timeoutMs);

  test("kstatus: in progress from the first moment, current in the end", async () => {
    expect(kstatus(await mail.get("TransportRule", "mark"))).toBe("InProgress");
    expect(kstatus(await mail.get("MailTransport", "hub"))).toBe("InProgress");
    await mail.isReady("MailTransport", "hub");
    await areCurrent();
    const edited = await mail.apply("TransportRule", "mark", rule("[2] "));
    expect(kstatus(edited)).toBe("InProgress");
    await mail.isReady("TransportRule", "mark");
  });

  test.each(KINDS)(
    "%s has all positive conditions, each of its present generation, and no others",
    async (kind) => {
      const [object] = await mail.list(kind);
      const types = ["Accepted", "Programmed", "Ready", "ResolvedRefs"];
      expect(object.status.observedGeneration).toBe(object.metadata.generation);
      const conditions: { type: string; observedGeneration: number }[] = object.status.conditions;
      expect(conditions.map(({ type }) => type).sort()).toEqual(types);
      for (const one of conditions) expect(one.observedGeneration).toBe(object.metadata.generation);
      if (kind !== "MailTransport") expect(object.status.transports).toEqual([`${mail.namespace}/hub`]);
      expect(JSON.stringify(kind === "MailTransport" ? {} : object.status)).not.toMatch(/[Rr]evision/);
    },
  );

  test.skipIf(!hasKubectl)("kubectl get shows what matters", async () => {
    const table = async (kind: string) => {
      const { output } = await mail.kubectl("get", kind);
      return output
        .trim()
        .split("\n")
        .map((line) => line.trim().split(/ {2,}/));
    };
    const [titles, transportRow] = await table("mtr");
    expect(titles).toEqual(["NAME", "READY", "ROLE", "REPLICAS", "REVISION", "ACKNOWLEDGED", "QUEUE", "AGE"]);
    expect(transportRow?.slice(0, 4)).toEqual(["hub", "True", "Hub", "2"]);
    expect(transportRow?.slice(5, 7)).toEqual(["2/2", "0"]);
    expect((await table("rcv"))[1]?.slice(0, 4)).toEqual(["internet", String(PORT), "Opportunistic", "True"]);
    expect((await table("snd"))[1]?.slice(0, 4)).toEqual(["all", "*", "Drop", "True"]);
    expect((await table("adom"))[1]?.slice(0, 4)).toEqual([
      "contoso",
      "contoso.example",
      "Authoritative",
      "True",
    ]);
    expect((await table("trule"))[1]?.slice(0, 5)).toEqual(["mark", "1000", "Enforce", "true", "True"]);
  });

  test("of two objects that claim one domain the younger is Conflicted, until the older goes", async () => {
    await mail.apply("AcceptedDomain", "younger", { domains: ["contoso.example"] });
    const { message } = await mail.condition("AcceptedDomain", "younger", {
      type: "Conflicted",
      status: "True",
    });
    expect(message).toContain("contoso");
    expect(await mail.conditionNow("AcceptedDomain", "younger", "Ready")).toMatchObject({
      status: "False",
      reason: "Conflicted",
    });
    await mail.isReady("AcceptedDomain", "contoso");
    await mail.remove("AcceptedDomain", "contoso");
    await mail.isReady("AcceptedDomain", "younger");
    expect(await mail.conditionNow("AcceptedDomain", "younger", "Conflicted")).toBeUndefined();
  });

  test("an object that names no transport that exists says so, until there is one", async () => {
    const refs = { transportRefs: [{ name: "later" }] };
    await mail.apply("TransportRule", "lost", { ...refs, ...rule("x") });
    const { message } = await mail.condition("TransportRule", "lost", {
      type: "Accepted",
      status: "False",
      reason: "TransportNotFound",
    });
    expect(message).toContain(`${mail.namespace}/later`);
    await mail.apply("MailTransport", "later", { hostname: "later.contoso.example", replicas: 0 });
    await mail.condition("TransportRule", "lost", { type: "Accepted", status: "True" });
    await mail.remove("MailTransport", "later");
    await mail.condition("TransportRule", "lost", { type: "Accepted", status: "False" });
    await mail.remove("TransportRule", "lost");
  });

  test("a disabled object is Ready, and in force nowhere", async () => {
    await mail.apply("TransportRule", "off", { enabled: false, ...rule("x") });
    await mail.condition("TransportRule", "off", { type: "Ready", status: "True", reason: "Disabled" });
    expect(await mail.conditionNow("TransportRule", "off", "Programmed")).toMatchObject({
      status: "False",
      reason: "Disabled",
    });
    await mail.remove("TransportRule", "off");
  });

  test("who may attach from another namespace follows allowedNamespaces and the labels, live", async () => {
    const refs = { transportRefs: [{ name: "hub", namespace: mail.namespace }] };
    await mail.apply("TransportRule", "guest", { ...refs, ...rule("x") }, guest);
    const isOut = () =>
      mail.condition("TransportRule", "guest", {
        type: "Accepted",
        status: "False",
        reason: "NotAllowedByTransport",
        namespace: guest,
      });
    const label = (team: string | null) => mail.patch("Namespace", guest, { metadata: { labels: { team } } });
    await isOut();
    await transport({ from: "All" });
    await mail.isReady("TransportRule", "guest", guest);
    await transport({ from: "Selector", selector: { matchLabels: { team: "mail" } } });
    await isOut();
    await label("mail");
    await mail.isReady("TransportRule", "guest", guest);
    await label(null);
    await isOut();
    await transport({ from: "Same" });
    await mail.remove("TransportRule", "guest", guest);
  });

  test("of 300 rules one changed rule is one status written, and then nobody writes anything", async () => {
    await inParallel(RULES, (n) =>
      mail.apply("TransportRule", `rule-${n}`, { priority: n, ...rule(`${n} `) }),
    );
    await areCurrent(150_000);
    const before = await settled(mail);
    await mail.apply("TransportRule", "rule-7", rule("changed "));
    await mail.isReady("TransportRule", "rule-7");
    await areCurrent();
    const after = await settled(mail);
    const children = changed(before, after).filter((key) =>
      /^(ReceiveConnector|SendConnector|AcceptedDomain|TransportRule)\//.test(key),
    );
    expect(children).toEqual([`TransportRule/${mail.namespace}/rule-7`]);
    // Ten seconds in which nothing happens are the fact here.
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    expect(changed(after, await mail.versions())).toEqual([]);
  });
});

/** Versions once two looks, three seconds apart, see the same. */
async function settled({ versions }: Postroom): Promise<ReadonlyMap<string, string>> {
  let last = await versions();
  return eventually(async () => {
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const [before, now] = [last, await versions()];
    last = now;
    return changed(before, now).length === 0 ? now : undefined;
  });
}

function changed(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): string[] {
  const keys = new Set([...before.keys(), ...now.keys()]);
  return [...keys].filter((key) => before.get(key) !== now.get(key)).sort();
}

async function inParallel(count: number, work: (n: number) => Promise<unknown>): Promise<void> {
  const numbers = Array.from({ length: count }, (_, n) => n).values();
  const worker = async () => {
    for (const n of numbers) await work(n);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}
