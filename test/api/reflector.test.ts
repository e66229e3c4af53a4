/** A reflector before a real API server: pages, history that is forgotten, and every way a line can fail. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createKubeHttp } from "../../lib/kube/http.ts";
import { startReflector } from "../../lib/kube/reflector.ts";
import type { KubeHttp, Reflector, ResourceType } from "../../lib/kube/types.ts";
import { type ApiServer, startApiServer } from "../helpers/api-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { silentLog } from "../helpers/fake-kube.ts";
import { fastClock } from "../helpers/fast-clock.ts";
import { type FaultProxy, startFaultProxy } from "../helpers/fault-proxy.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";

const CONFIG_MAP: ResourceType = {
  group: "",
  version: "v1",
  plural: "configmaps",
  kind: "ConfigMap",
  namespaced: true,
};

describe.skipIf(kubeAssets() === undefined)("a reflector before a real API server", () => {
  let server: ApiServer;
  let proxy: FaultProxy;
  let http: KubeHttp;
  let reflector: Reflector<string>;
  let namespace: string;
  let told: string[];

  beforeAll(async () => {
    server = await startApiServer();
  });

  afterAll(() => server?.stop());

  beforeEach(async () => {
    namespace = await server.namespace();
    proxy = await startFaultProxy(server);
    // Ten times as fast: a silent watch counts as dead after 15 to 19 seconds.
    const clock = fastClock(10);
    http = createKubeHttp({
      auth: proxy.auth(server.adminAuth),
      clock,
      log: silentLog,
      userAgent: "test",
    });
    for (const name of ["a", "b", "c", "d", "e"]) await create(name);
    told = [];
    reflector = startReflector<string>({
      http,
      clock,
      log: silentLog,
      type: CONFIG_MAP,
      namespace,
      pageSize: 2,
      transform: ({ data }) => String((data as { text?: string }).text),
      onChange: ({ key, now }) => told.push(`${key.split("/")[1]}=${now ?? "gone"}`),
    });
    await reflector.synced;
    await eventually(() => proxy.requests()["watch configmaps"] === 1);
    expect(reflector.size).toBe(5);
    told.length = 0;
  });

  afterEach(async () => {
    reflector.stop();
    http.close();
    await proxy.stop();
  });

  const path = () => `/api/v1/namespaces/${namespace}/configmaps`;
  const create = (name: string) =>
    server.admin("POST", path(), { body: { metadata: { name }, data: { text: name } } });
  const remove = (name: string) => server.admin("DELETE", `${path()}/${name}`);
  const lists = () => proxy.requests()["list configmaps"] ?? 0;

  test("pages are put together and events follow", async () => {
    expect(lists()).toBe(3);
    await create("f");
    await remove("a");
    await eventually(() => told.length === 2);
    expect(told).toEqual(["f=f", "a=gone"]);
  });

  test("when history is forgotten it lists anew and tells the differences only", async () => {
    await server.stopServer("SIGKILL");
    await server.startAgain();
    await server.forgetHistory();
    await remove("b");
    await create("g");
    await eventually(() => told.length === 2);
    expect(told.toSorted()).toEqual(["b=gone", "g=g"]);
  });

  test.each([
    { name: "resets", fail: async () => proxy.line.reset() },
    {
      name: "a line that refuses for a while",
      fail: async () => {
        await proxy.line.set({ kind: "refuse" });
        proxy.line.reset();
        await create("meanwhile");
        await proxy.line.set({ kind: "pass" });
      },
    },
    {
      name: "a reset in the middle of an event",
      fail: async () => {
        await proxy.line.set({ kind: "limit", octets: 300, end: "reset" });
        await create("meanwhile");
        await eventually(() => proxy.line.openConnections <= 1);
        await proxy.line.set({ kind: "pass" });
      },
    },
    { name: "connections that go silent for good", fail: async () => proxy.line.silence() },
  ])("after $name nothing is missing, without another list", async ({ fail }) => {
    const before = lists();
    await fail();
    await create("h");
    await eventually(() => told.includes("h=h"));
    const names = (await server.admin("GET", path())) as { items: { metadata: { name: string } }[] };
    expect([...reflector.items()].toSorted()).toEqual(names.items.map(({ metadata }) => metadata.name));
    expect(told.length).toBe(new Set(told).size);
    expect(lists()).toBe(before);
  });

  test("while watches are refused with 429, 500 and 503 it rests, then catches up", async () => {
    const rules = ([429, 500, 503] as const).map((status) =>
      proxy.answer({ status, share: 0.5, when: ({ verb }) => verb === "watch" }),
    );
    proxy.line.reset();
    await create("i");
    await eventually(() => told.includes("i=i"));
    for (const rule of rules) rule.end();
    await remove("i");
    await eventually(() => told.includes("i=gone"));
  });
});
