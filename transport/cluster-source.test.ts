/** A pod that the cluster feeds, whole: heads, chunks, keys, refusals, the disk, the drain. The API server is a small fake. */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makeCertificate } from "../lib/certificate.ts";
import { type ClusterPod, type ClusterPodOptions, startClusterPod } from "../test/helpers/cluster-pod.ts";
import { eventually } from "../test/helpers/eventually.ts";
import { createFakeClock } from "../test/helpers/fake-clock.ts";
import {
  type FakeCluster,
  NAMESPACE,
  pathOf,
  startFakeCluster,
  TRANSPORT,
} from "../test/helpers/fake-cluster.ts";
import { silentLog } from "../test/helpers/fake-kube.ts";
import { freePort } from "../test/helpers/free-port.ts";
import { openDialogue } from "../test/helpers/smtp-dialogue.ts";
import { BASIC } from "../test/helpers/transport.ts";
import { openClusterSource } from "./cluster-source.ts";
import { openSnapshotStore } from "./snapshot-store.ts";

let cluster: FakeCluster;
const pods: ClusterPod[] = [];
const servers: Server[] = [];
beforeEach(async () => {
  cluster = await startFakeCluster();
});
afterEach(async () => {
  for (const pod of pods.splice(0)) await pod.stop();
  for (const server of servers.splice(0)) server.close();
  await cluster.stop();
});

async function start(options: Partial<ClusterPodOptions> = {}): Promise<ClusterPod> {
  const pod = await startClusterPod({ http: cluster.client(), ...options });
  pods.push(pod);
  return pod;
}

const takes = (domain: string) => BASIC.replace("[contoso.example]", `[contoso.example, ${domain}]`);
const status = () => cluster.status("hub-0");
const acknowledged = (revision: number) =>
  eventually(() => (status().snapshot as { revision?: number } | undefined)?.revision === revision);
const refused = (revision: number) =>
  eventually(() => {
    const found = status().refused as { revision: number; message: string; objects: string[] } | undefined;
    return found?.revision === revision ? found : undefined;
  });

/** The answer to RCPT, of the first port of a pod. */
async function answerTo(pod: ClusterPod, recipient: string): Promise<string> {
  const port = (await pod.started).bindings()[0]?.port ?? 0;
  const client = await openDialogue({ port });
  await client.say("MAIL FROM:<eve@fabrikam.example>");
  const answer = await client.say(`RCPT TO:<${recipient}>`);
  client.close();
  return answer;
}

describe("a head", () => {
  test("is in force, acknowledged with digest and number, and so is the next one", async () => {
    cluster.pod("hub-0");
    const first = cluster.publish(1, BASIC);
    cluster.head({ current: first });
    const pod = await start();
    expect(await answerTo(pod, "ann@contoso.example")).toMatch(/^250/);
    await acknowledged(1);
    expect(status()).toMatchObject({ snapshot: first, source: "API", draining: false, drained: false });
    expect(await pod.get("/readyz")).toEqual({ status: 200, text: "ready" });
    const second = cluster.publish(2, takes("more.example"));
    cluster.head({ current: second });
    await acknowledged(2);
    expect(await answerTo(pod, "ann@more.example")).toMatch(/^250/);
    expect(status().refused).toBeUndefined();
  });

  test("fetches only what changed", async () => {
    cluster.pod("hub-0");
    cluster.head({ current: cluster.publish(1, BASIC) });
    await start();
    await acknowledged(1);
    const before = cluster.kube.calls.length;
    cluster.head({ current: cluster.publish(2, takes("more.example")) });
    await acknowledged(2);
    const fetched = cluster.kube.calls.slice(before).filter(({ path }) => path.includes("/snapshotchunks/"));
    expect(fetched).toHaveLength(2); // the index and the chunk of domains
  });

  test("on trial in another pod is fetched meanwhile, so that it need not be when it is for all", async () => {
    cluster.pod("hub-0");
    const first = cluster.publish(1, BASIC);
    cluster.head({ current: first });
    const pod = await start();
    await acknowledged(1);
    const before = cluster.kube.calls.length;
    const fetched = () =>
      cluster.kube.calls.slice(before).filter(({ path }) => path.includes("/snapshotchunks/")).length;
    const second = cluster.publish(2, takes("more.example"));
    cluster.head({ current: first, canary: { ...second, pod: "hub-1", since: "2026-11-21T20:00:00.000Z" } });
    await eventually(() => fetched() === 2);
    expect(await answerTo(pod, "ann@more.example")).toMatch(/^550/);
    cluster.head({ current: second });
    await acknowledged(2);
    expect(await answerTo(pod, "ann@more.example")).toMatch(/^250/);
    expect(fetched()).toBe(2);
  });

  test("whose longest object is in several chunks fetches those that changed", async () => {
    const addresses = Array.from(
      { length: 12_000 },
      (_, i) => `user-${String(i).padStart(5, "0")}@contoso.example`,
    );
    const withList = (list: readonly string[]) =>
      BASIC.replace(
        "{domains: [contoso.example]}",
        `{domains: [contoso.example], recipients: {validation: Reject, addresses: [${list.join(", ")}]}}`,
      );
    cluster.pod("hub-0");
    cluster.head({ current: cluster.publish(1, withList(addresses)) });
    const pod = await start();
    await acknowledged(1);
    cluster.head({ current: cluster.publish(2, withList([...addresses, "zoe@contoso.example"])) });
    await acknowledged(2);
    expect(await answerTo(pod, "zoe@contoso.example")).toMatch(/^250/);
  });

  test("under a new number with the same content is acknowledged, and nothing is built", async () => {
    cluster.pod("hub-0");
    cluster.head({ current: cluster.publish(1, BASIC) });
    const pod = await start();
    await acknowledged(1);
    cluster.head({ current: cluster.publish(7, BASIC) });
    await acknowledged(7);
    expect(pod.logs.filter(({ msg }) => msg === "configuration in force")).toHaveLength(1);
  });

  test("with a canary is served by the pod it names, and by no other", async () => {
    cluster.pod("hub-0");
    cluster.pod("hub-1");
    const current = cluster.publish(1, BASIC);
    const canary = {
      ...cluster.publish(2, takes("more.example")),
      pod: "hub-1",
      since: "2026-01-01T00:00:00Z",
    };
    cluster.head({ current, canary });
    const [zero, one] = [await start({ pod: "hub-0" }), await start({ pod: "hub-1" })];
    expect(await answerTo(zero, "ann@more.example")).toMatch(/^550/);
    expect(await answerTo(one, "ann@more.example")).toMatch(/^250/);
    await acknowledged(1);
    await eventually(() => (cluster.status("hub-1").snapshot as { revision: number }).revision === 2);
  });

  test("that names a chunk which comes later is in force when it is there", async () => {
    cluster.pod("hub-0");
    const revision = cluster.publish(1, BASIC);
    const chunk = cluster.get(pathOf.chunk(revision.digest)) as object;
    cluster.remove(pathOf.chunk(revision.digest));
    cluster.head({ current: revision });
    const pod = await start();
    await eventually(() => cluster.kube.calls.some(({ path }) => path === pathOf.chunk(revision.digest)));
    cluster.put(pathOf.chunk(revision.digest), chunk);
    await pod.started;
    await acknowledged(1);
  });

  test("whose keys the Role does not name yet is in force when it does", async () => {
    cluster.pod("hub-0");
    const secrets = { "default/unused": { users: "x" } };
    cluster.head({ current: cluster.publish(1, BASIC, { secrets }) });
    let refusals = 0;
    cluster.fault = ({ path }) => (path.includes("/secrets/") && refusals++ < 2 ? 403 : undefined);
    await (await start()).started;
    await acknowledged(1);
    expect(refusals).toBeGreaterThan(2);
  });
});

describe("a refused revision", () => {
  const started = async () => {
    cluster.pod("hub-0");
    cluster.head({ current: cluster.publish(1, BASIC) });
    const pod = await start();
    await acknowledged(1);
    return pod;
  };

  test("with a changed chunk leaves what was in force, and the next good one ends the matter", async () => {
    const pod = await started();
    const bad = cluster.publish(2, takes("more.example"));
    const specOf = (digest: string) => cluster.get(pathOf.chunk(digest))?.spec as { data: string };
    const { data } = specOf(cluster.publish(1, BASIC).digest);
    cluster.put(pathOf.chunk(bad.digest), { spec: { ...specOf(bad.digest), data } });
    cluster.head({ current: bad });
    expect((await refused(2)).message).toContain("digest");
    expect(status()).toMatchObject({ snapshot: { revision: 1 } });
    expect(await answerTo(pod, "ann@contoso.example")).toMatch(/^250/);
    expect(await pod.get("/readyz")).toMatchObject({ status: 200 });
    cluster.head({ current: cluster.publish(3, takes("other.example")) });
    await acknowledged(3);
    await eventually(() => status().refused === undefined);
  });

  test("with a port that is taken names connector, field and mend, and no listener changes", async () => {
    const pod = await started();
    const { bindings } = await pod.started;
    const before = bindings();
    const taken = createServer().listen(0, "127.0.0.1");
    servers.push(taken);
    await eventually(() => taken.listening);
    const { port } = taken.address() as { port: number };
    const client = await openDialogue({ port: before[0]?.port ?? 0 });
    cluster.head({
      current: cluster.publish(2, BASIC.replace("port: 0}", `port: ${port}}`)),
    });
    const { message, objects } = await refused(2);
    expect(message).toContain(`spec.bindings[0]: Cannot listen on 127.0.0.1 port ${port}: another program`);
    expect(objects).toEqual(["ReceiveConnector/default/internet"]);
    expect(bindings()).toEqual(before);
    expect(await client.say("NOOP")).toMatch(/^250/);
    client.close();
  });

  test("with a certificate that does not load leaves the old one; new keys are in force at once", async () => {
    const named = BASIC.replace(
      "tarpitInterval: 0s",
      "tarpitInterval: 0s\n  tls: {mode: Opportunistic, certificateRefs: [{name: mx}]}",
    );
    const pair = async (name: string) => {
      const { cert, key } = await makeCertificate({ names: [name], days: 2 });
      return { "tls.crt": cert, "tls.key": key };
    };
    const [one, two] = [await pair("one.example"), await pair("two.example")];
    cluster.pod("hub-0");
    cluster.head({ current: cluster.publish(1, named, { secrets: { "default/mx": one } }) });
    const pod = await start();
    await acknowledged(1);
    const broken = { ...two, "tls.key": one["tls.key"] };
    cluster.head({ current: cluster.publish(2, named, { secrets: { "default/mx": broken } }) });
    const { message, objects } = await refused(2);
    expect(message).toContain('Secret "default/mx"');
    expect(objects).toEqual(["ReceiveConnector/default/internet"]);
    cluster.head({ current: cluster.publish(3, named, { secrets: { "default/mx": two } }) });
    await acknowledged(3);
    expect(pod.logs.filter(({ msg }) => msg === "configuration in force")).toHaveLength(2);
  });

  test("is none for which the machine lacked something: it is in force when the machine has it", async () => {
    const pod = await started();
    const port = await freePort();
    const listen = vi.spyOn(Server.prototype, "listen").mockImplementationOnce(function (this: Server) {
      const lacking = Object.assign(new Error("too many open files"), { code: "EMFILE" });
      process.nextTick(() => this.emit("error", lacking));
      return this;
    });
    cluster.head({ current: cluster.publish(2, BASIC.replace("port: 0}", `port: ${port}}`)) });
    await acknowledged(2);
    listen.mockRestore();
    expect(status().refused).toBeUndefined();
    expect(pod.logs.filter(({ msg }) => /^configuration not applied/.test(String(msg)))).toHaveLength(1);
  });

  test("that the head still names is offered again after five minutes, and not before", async () => {
    const state = await mkdtemp(join(tmpdir(), "postroom-source-"));
    const clock = createFakeClock();
    const changed = vi.fn();
    const said: unknown[] = [];
    cluster.head({ current: cluster.publish(1, BASIC) });
    const source = openClusterSource({
      ...{ http: cluster.client(), clock, log: silentLog, namespace: NAMESPACE, transport: TRANSPORT },
      ...{ store: await openSnapshotStore(state, silentLog), pod: "hub-0", say: (part) => said.push(part) },
    });
    const stop = source.watch(changed);
    const inForce = await source.read(undefined);
    source.settled({ inForce: true });
    changed.mockClear();
    cluster.head({ current: cluster.publish(2, takes("more.example")) });
    await eventually(() => changed.mock.calls.length > 0);
    const refuse = async () => {
      expect(await source.read(inForce)).toBeDefined();
      source.settled({ inForce: false, message: "a port is taken", objects: [] });
      expect(await source.read(inForce)).toBeUndefined();
      changed.mockClear();
    };
    for (let round = 1; round <= 2; round++) {
      await refuse();
      await clock.advance(299_000);
      expect(changed).not.toHaveBeenCalled();
      await clock.advance(1000);
      expect(changed).toHaveBeenCalledOnce();
    }
    expect(await source.read(inForce)).toBeDefined();
    source.settled({ inForce: true });
    expect(said.at(-1)).toMatchObject({ snapshot: { revision: 2 }, refused: undefined });
    stop();
    await rm(state, { recursive: true });
  });

  test("is not tried again at once, and is when the head names it anew", async () => {
    const pod = await started();
    const tries = () => pod.logs.filter(({ msg }) => /^configuration not applied/.test(String(msg))).length;
    const taken = createServer().listen(0, "127.0.0.1");
    servers.push(taken);
    await eventually(() => taken.listening);
    const { port } = taken.address() as { port: number };
    const bad = cluster.publish(2, BASIC.replace("port: 0}", `port: ${port}}`));
    cluster.head({ current: bad });
    await refused(2);
    cluster.head({
      current: cluster.publish(1, BASIC),
      refused: { ...bad, pod: "hub-0", message: "", objects: [] },
    });
    taken.close();
    await eventually(() => !taken.listening);
    cluster.head({ current: bad });
    await acknowledged(2);
    expect(status().refused).toBeUndefined();
    expect(tries()).toBe(1);
  });
});

describe("a start", () => {
  test("without an answer of the API server is from disk, keys included, and says so once it can", async () => {
    cluster.pod("hub-0");
    const secrets = { "default/unused": { users: "x" } };
    const revision = cluster.publish(4, BASIC, { secrets });
    cluster.head({ current: revision });
    const first = await start();
    await acknowledged(4);
    await (await first.started).stop(0);
    cluster.put(pathOf.pod("hub-0"), { status: undefined });
    cluster.fault = () => 500;
    const second = await start({ state: first.state, http: cluster.client() });
    expect(await answerTo(second, "ann@contoso.example")).toMatch(/^250/);
    expect(second.logs.find(({ msg }) => /^starting from the last good/.test(String(msg)))).toMatchObject({
      revision: 4,
      because: "the API server does not answer",
    });
    cluster.fault = undefined;
    await acknowledged(4);
    expect(status()).toMatchObject({ source: "Disk", snapshot: revision });
    cluster.head({ current: cluster.publish(5, takes("more.example")) });
    await acknowledged(5);
    expect(status()).toMatchObject({ source: "API" });
  });

  test("with the API server takes the head's, not the disk's", async () => {
    cluster.pod("hub-0");
    cluster.head({ current: cluster.publish(1, BASIC) });
    const first = await start();
    await acknowledged(1);
    await (await first.started).stop(0);
    cluster.head({ current: cluster.publish(2, takes("more.example")) });
    const second = await start({ state: first.state, http: cluster.client() });
    expect(await answerTo(second, "ann@more.example")).toMatch(/^250/);
    await acknowledged(2);
    expect(status()).toMatchObject({ source: "API" });
  });

  test("with a head that is refused is from disk", async () => {
    cluster.pod("hub-0");
    cluster.head({ current: cluster.publish(1, BASIC) });
    const first = await start();
    await acknowledged(1);
    await (await first.started).stop(0);
    const bad = cluster.publish(2, takes("more.example"));
    cluster.put(pathOf.chunk(bad.digest), { spec: { digest: "0".repeat(64), encoding: "zstd", data: "" } });
    cluster.head({ current: bad });
    const second = await start({ state: first.state, http: cluster.client() });
    expect(await answerTo(second, "ann@contoso.example")).toMatch(/^250/);
    await refused(2);
    expect(status()).toMatchObject({ source: "Disk", snapshot: { revision: 1 } });
  });

  test("with garbage on disk is from the API server, and the garbage goes", async () => {
    cluster.pod("hub-0");
    cluster.head({ current: cluster.publish(1, BASIC) });
    const first = await start();
    await acknowledged(1);
    await (await first.started).stop(0);
    const folder = join(first.state, "snapshot");
    for (const name of await readdir(folder)) await writeFile(join(folder, name), "garbage");
    await writeFile(join(folder, "x"), "garbage");
    const second = await start({ state: first.state, http: cluster.client() });
    await second.started;
    expect(await readdir(folder)).not.toContain("x");
    await (await second.started).stop(0);
    cluster.fault = () => 500;
    await (await start({ state: first.state, http: cluster.client() })).started;
  });

  test("with nothing to start from waits, alive and not ready, and says for what", async () => {
    const pod = await start();
    await eventually(async () => (await pod.get("/readyz")).text.includes("there is no TransportSnapshot"));
    expect(await pod.get("/readyz")).toMatchObject({ status: 503 });
    expect(await pod.get("/healthz")).toMatchObject({ status: 200 });
    expect((await pod.get("/metrics")).text).toContain("postroom_reloads_total");
    cluster.head({ current: cluster.publish(1, BASIC) });
    await pod.started;
    expect(await pod.get("/readyz")).toMatchObject({ status: 200 });
    // Its own object comes last: then it says what is in force.
    cluster.pod("hub-0");
    await acknowledged(1);
  });

  test("that still waits can be stopped", async () => {
    const pod = await start();
    await eventually(async () => (await pod.get("/healthz")).status === 200);
    await pod.stop();
    await expect(pod.started).rejects.toThrow("the test is over");
  });
});

describe("a drain", () => {
  const HELD = BASIC.replace(
    "{type: Drop, directory: mailboxes}",
    "{type: SmartHost, smartHosts: [{host: 127.0.0.1, port: 1}]}\n  tls: {mode: None}",
  );
  const send = async (pod: ClusterPod) => {
    const port = (await pod.started).bindings()[0]?.port ?? 0;
    const client = await openDialogue({ port });
    const content = "Subject: x\r\n\r\nx\r\n";
    expect(await client.send("eve@fabrikam.example", ["ann@contoso.example"], content)).toMatch(/^250/);
    return client;
  };

  test("answers 421, is not ready, is drained when all mail is gone, and can be taken back", async () => {
    cluster.pod("hub-0");
    cluster.head({ current: cluster.publish(1, HELD) });
    const pod = await start();
    await acknowledged(1);
    const client = await send(pod);
    cluster.pod("hub-0", { drain: true });
    await eventually(() => status().draining === true);
    expect(await client.reply()).toMatch(/^421 4\.3\.2/);
    expect(await pod.get("/readyz")).toEqual({ status: 503, text: "draining" });
    await eventually(() => (status().queue as { messages: number }).messages === 1);
    expect(status().drained).toBe(false);
    // Delivery goes on, and so does the configuration: the next hop is mended, the queue empties.
    cluster.head({ current: cluster.publish(2, BASIC) });
    await eventually(() => status().drained === true);
    expect(status()).toMatchObject({ draining: true, queue: { messages: 0, setAside: 0 } });
    cluster.pod("hub-0", { drain: false });
    await eventually(() => status().draining === false && status().drained === false);
    expect(await answerTo(pod, "ann@contoso.example")).toMatch(/^250/);
    expect(await pod.get("/readyz")).toMatchObject({ status: 200 });
  });

  test("of a pod that went away with mail is not done: its last word is what its volume holds", async () => {
    cluster.pod("hub-0");
    cluster.head({ current: cluster.publish(1, HELD) });
    const pod = await start();
    await acknowledged(1);
    await eventually(() => (status().queue as { messages: number } | undefined)?.messages === 0);
    (await send(pod)).close();
    await (await pod.started).stop(0);
    expect(status()).toMatchObject({ queue: { messages: 1 }, draining: false, drained: false });
  });

  test("of a pod that never had a configuration is done at once", async () => {
    cluster.pod("hub-0", { drain: true });
    await start();
    await eventually(() => status().drained === true);
  });
});

test("an idle pod writes nothing, and two watches are all it holds open", async () => {
  cluster.pod("hub-0");
  cluster.head({ current: cluster.publish(1, BASIC) });
  await start();
  await acknowledged(1);
  await eventually(() => status().queue !== undefined);
  const { writes } = cluster;
  // Its own object and the head are touched: what it says of them stands there already.
  cluster.pod("hub-0");
  cluster.head({ current: cluster.publish(1, BASIC) });
  cluster.head({ current: cluster.publish(2, takes("more.example")) });
  await acknowledged(2);
  expect(cluster.writes).toBe(writes + 1);
  expect(cluster.kube.watches).toHaveLength(2);
});
