/** Facts about the proxy that fails on purpose: each fault is the one it is named for. */
import { once } from "node:events";
import { connect } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ApiClient, apiClient } from "../helpers/api-client.ts";
import { type ApiServer, startApiServer } from "../helpers/api-server.ts";
import { type FaultProxy, startFaultProxy } from "../helpers/fault-proxy.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";

describe.skipIf(kubeAssets() === undefined)("fault proxy", () => {
  let server: ApiServer;
  let base: string;
  let proxy: FaultProxy;
  let client: ApiClient;
  beforeAll(async () => {
    server = await startApiServer();
    base = `/api/v1/namespaces/${await server.namespace()}/configmaps`;
    // Long enough to be cut half way.
    await server.admin("POST", base, {
      body: { metadata: { name: "long" }, data: { text: "x".repeat(300_000) } },
    });
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    proxy = await startFaultProxy(server);
    client = apiClient(proxy.auth(server.adminAuth));
  });
  afterEach(async () => {
    client.close();
    await proxy.stop();
    // Whatever was done to them.
    await expect.poll(() => proxy.line.openConnections).toBe(0);
  });

  const list = () => client.call("GET", base);
  /** A watch by hand: what it got, and how it ended. */
  async function openWatch() {
    const { headers, ca } = await server.adminAuth.credentials();
    const socket = connect({ host: server.host, port: proxy.line.port, ca });
    const watch = { text: "", ended: undefined as string | undefined, close: () => socket.destroy() };
    socket.on("data", (chunk) => {
      watch.text += chunk;
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      watch.ended = error.code;
    });
    socket.once("close", () => {
      watch.ended ??= "closed";
    });
    await once(socket, "secureConnect");
    const lines = [`GET ${base}?watch=1 HTTP/1.1`, `Host: ${server.host}`];
    socket.write([...lines, `Authorization: ${headers.authorization}`, "", ""].join("\r\n"));
    await expect.poll(() => watch.text).toContain('"ADDED"');
    return watch;
  }

  test("calls and watches pass, counted by verb and resource", async () => {
    const watch = await openWatch();
    const name = `passes-${performance.now()}`;
    const body = { metadata: { name }, data: { a: "1" } };
    await client.call("POST", base, { body });
    await expect.poll(() => watch.text).toContain(name);
    await client.call("PATCH", `${base}/${name}`, { body: { data: { a: "2" } } });
    await expect(client.call("GET", `${base}/none`)).rejects.toMatchObject({ status: 404 });
    expect(proxy.requests()).toEqual({
      "watch configmaps": 1,
      "create configmaps": 1,
      "patch configmaps": 1,
      "get configmaps": 1,
    });
    expect(proxy.traffic(/^create /).requestOctets).toBe(JSON.stringify(body).length);
    expect(proxy.traffic(/^watch /).answerOctets).toBeGreaterThan(300_000);
    watch.close();
  });

  test("reset() is an RST on calls and watches that are open; the next call passes", async () => {
    const watch = await openWatch();
    proxy.line.reset();
    await expect.poll(() => watch.ended).toBe("ECONNRESET");
    expect(await list()).toMatchObject({ kind: "ConfigMapList" });
  });

  test("a refusing line takes no connection and keeps the open ones", async () => {
    const watch = await openWatch();
    await proxy.line.set({ kind: "refuse" });
    await expect(list()).rejects.toMatchObject({ code: "ECONNREFUSED" });
    const name = `seen-${performance.now()}`;
    await server.admin("POST", base, { body: { metadata: { name } } });
    await expect.poll(() => watch.text).toContain(name);
    await proxy.line.set({ kind: "pass" });
    expect(await list()).toMatchObject({ kind: "ConfigMapList" });
    watch.close();
  });

  test("a stalled line takes connections and moves nothing until it passes again", async () => {
    await proxy.line.set({ kind: "stall" });
    let isAnswered = false;
    const call = list().finally(() => {
      isAnswered = true;
    });
    await expect.poll(() => proxy.line.openConnections).toBe(1);
    // Whoever comes later waits too, and a direct call in between shows that the server is well.
    await server.admin("GET", base);
    expect(isAnswered).toBe(false);
    await proxy.line.set({ kind: "pass" });
    expect(await call).toMatchObject({ kind: "ConfigMapList" });
  });

  test("silence() is for open connections only", async () => {
    const watch = await openWatch();
    proxy.line.silence();
    const name = `unseen-${performance.now()}`;
    await server.admin("POST", base, { body: { metadata: { name } } });
    expect(
      (await list()).items.map(({ metadata }: { metadata: { name: string } }) => metadata.name),
    ).toContain(name);
    expect(watch.text).not.toContain(name);
    expect(watch.ended).toBeUndefined();
    watch.close();
  });

  test.each([
    { end: "reset", outcome: "ECONNRESET" },
    { end: "silence", outcome: "nothing yet" },
  ] as const)("a limit cuts an answer half way: $end", async ({ end, outcome: want }) => {
    await proxy.line.set({ kind: "limit", octets: 100_000, end });
    let outcome = "nothing yet";
    const call = list().then(
      () => (outcome = "an answer"),
      (error: NodeJS.ErrnoException) => (outcome = error.code ?? "a fault"),
    );
    await expect.poll(() => proxy.traffic().answerOctets).toBeGreaterThan(100_000);
    if (end === "reset") await call;
    expect(outcome).toBe(want);
  });

  test("a slow line delays each piece", async () => {
    await list();
    await proxy.line.set({ kind: "slow", delayMs: 60 });
    const begun = performance.now();
    await list();
    // One piece there, one back, at the least.
    expect(performance.now() - begun).toBeGreaterThanOrEqual(118);
  });

  test.each([{ status: 429, retryAfter: 1 }, { status: 500 }, { status: 503 }, { status: 410 }] as const)(
    "answers $status to the requests that a rule names",
    async (fault) => {
      const rule = proxy.answer({ ...fault, when: ({ verb }) => verb === "list" });
      await expect(list()).rejects.toMatchObject({ status: fault.status });
      expect(await client.call("GET", `${base}/long`)).toMatchObject({ kind: "ConfigMap" });
      expect(rule.given).toBe(1);
      rule.end();
      expect(await list()).toMatchObject({ kind: "ConfigMapList" });
    },
  );

  test("a watch is told 410 by an event", async () => {
    proxy.answer({ status: 410 });
    expect(await client.call("GET", `${base}?watch=1`)).toMatchObject({
      type: "ERROR",
      object: { code: 410 },
    });
  });

  test("a share is spread evenly", async () => {
    proxy.answer({ status: 503, share: 0.25 });
    const verdicts: number[] = [];
    for (let n = 0; n < 8; n += 1)
      verdicts.push(
        await list().then(
          () => 200,
          ({ status }) => status,
        ),
      );
    expect(verdicts).toEqual([200, 200, 200, 503, 200, 200, 200, 503]);
  });

  test("a server that is gone is a broken connection", async () => {
    await server.stopServer("SIGKILL");
    await expect(list()).rejects.toMatchObject({ code: "ECONNRESET" });
    await server.startAgain();
    expect(await list()).toMatchObject({ kind: "ConfigMapList" });
  });
});
