/** The pod's own object: what it hears, what it writes, and what it does not. The API server is a small fake. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../lib/clock.ts";
import type { KubeHttp } from "../lib/kube/types.ts";
import { eventually } from "../test/helpers/eventually.ts";
import { type FakeCluster, NAMESPACE, pathOf, startFakeCluster } from "../test/helpers/fake-cluster.ts";
import { silentLog } from "../test/helpers/fake-kube.ts";
import { openPodReport, type PodReport } from "./pod-report.ts";

const REVISION = { revision: 1, digest: "a".repeat(64) };
let cluster: FakeCluster;
let report: PodReport | undefined;
let drains: boolean[];
beforeEach(async () => {
  drains = [];
  cluster = await startFakeCluster();
});
afterEach(async () => {
  report?.stop();
  await cluster.stop();
});

function open(http: KubeHttp = cluster.client()): PodReport {
  report = openPodReport({
    ...{ http, namespace: NAMESPACE, pod: "hub-0", clock: systemClock, log: silentLog },
    onDrain: (drain) => drains.push(drain),
  });
  return report;
}
const status = () => cluster.status("hub-0");

test("a drain is heard once, and so is its end", async () => {
  cluster.pod("hub-0", { drain: true });
  open();
  await eventually(() => drains.length === 1);
  cluster.pod("hub-0", { drain: true });
  cluster.pod("hub-0", { drain: false });
  await eventually(() => drains.length === 2);
  expect(drains).toEqual([true, false]);
});

test("nothing is written before it is known what is in force", async () => {
  cluster.pod("hub-0");
  const { say } = open();
  say({ queue: { messages: 0, setAside: 0 } });
  say({ snapshot: REVISION, source: "API" });
  await eventually(() => status().snapshot);
  expect(cluster.writes).toBe(1);
  expect(status()).toEqual({
    ...{ snapshot: REVISION, source: "API", queue: { messages: 0, setAside: 0 } },
    ...{ draining: false, drained: false },
  });
});

test("what is said many times at once is written at most twice, the newest last", async () => {
  cluster.pod("hub-0");
  const { say } = open();
  for (let revision = 1; revision <= 50; revision++) say({ snapshot: { ...REVISION, revision } });
  await eventually(() => (status().snapshot as { revision: number } | undefined)?.revision === 50);
  expect(cluster.writes).toBeLessThanOrEqual(2);
});

test("a write that fails is tried again, with what is newest by then", async () => {
  cluster.pod("hub-0");
  let failures = 0;
  cluster.fault = ({ method }) => (method === "PATCH" && failures++ < 1 ? 403 : undefined);
  const { say } = open();
  say({ snapshot: REVISION });
  await eventually(() => failures === 1);
  say({ snapshot: { ...REVISION, revision: 2 } });
  await eventually(() => status().snapshot);
  expect(status().snapshot).toMatchObject({ revision: 2 });
  expect(cluster.writes).toBe(1);
});

test("an object that is made anew is told all of it again", async () => {
  cluster.pod("hub-0");
  const { say } = open();
  say({ snapshot: REVISION });
  await eventually(() => status().snapshot);
  cluster.remove(pathOf.pod("hub-0"));
  cluster.pod("hub-0");
  await eventually(() => status().snapshot);
});

test("a status that somebody else changed is put right", async () => {
  cluster.pod("hub-0");
  const { say } = open();
  say({ snapshot: REVISION });
  await eventually(() => status().snapshot);
  cluster.put(pathOf.pod("hub-0"), { status: { drained: true } });
  await eventually(() => status().drained === false);
});

test("a field of the status that somebody else holds is left, and written about once", async () => {
  cluster.heldByOthers = { queue: { messages: 0, setAside: 0, oldestMessageTime: "2026-01-01T00:00:00Z" } };
  cluster.pod("hub-0");
  const { say } = open();
  say({ snapshot: REVISION, queue: { messages: 0, setAside: 0 } });
  await eventually(() => status().snapshot);
  // Its drain is heard after whatever the answer and the watch brought.
  cluster.pod("hub-0", { drain: true });
  await eventually(() => drains.length === 1);
  expect(cluster.writes).toBe(1);
  say({ draining: true });
  await eventually(() => status().draining === true);
  expect(cluster.writes).toBe(2);
});

test("an answer that comes when another object has the name is no word about that one", async () => {
  cluster.pod("hub-0");
  const client = cluster.client();
  const late = Promise.withResolvers<void>();
  const { say } = open({
    watch: (call) => client.watch(call),
    close: () => client.close(),
    async request<Answer>(call: Parameters<KubeHttp["request"]>[0]) {
      const answer = await client.request<Answer>(call);
      if (call.method === "PATCH") await late.promise;
      return answer;
    },
  });
  say({ snapshot: REVISION });
  await eventually(() => status().snapshot);
  cluster.remove(pathOf.pod("hub-0"));
  cluster.pod("hub-0", { drain: true });
  await eventually(() => drains.length === 1);
  expect(status().snapshot).toBeUndefined();
  late.resolve();
  await eventually(() => status().snapshot);
});

test("a drain is heard whatever else a newer operator wrote", async () => {
  cluster.put(pathOf.pod("hub-0"), { spec: { transport: "hub", drain: true, until: "tomorrow" } });
  open();
  await eventually(() => drains.length === 1);
});
