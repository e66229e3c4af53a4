/**
 * Cluster size: what 10,000 rules and 100,000 domains cost in time, memory and calls of the API server.
 *
 *   node bench/cluster-size.ts [rules] [domains] [seconds of idleness]
 *
 * A real API server and etcd, the operator and one transport pod as processes; the pod calls by way of a proxy that counts.
 * Memory is the resident set. First with a handful of objects, then with all of them, then the
 * pod after a fresh start.
 *
 * @module
 */
import { startFaultProxy } from "../test/helpers/fault-proxy.ts";
import type { LoggedProcess } from "../test/helpers/logged-process.ts";
import {
  type BenchObject,
  countsOf,
  missRules,
  operatorCounts,
  relayObjects,
  since,
  startGround,
  until,
} from "./cluster-ground.ts";

const RULES = Number(process.argv[2] ?? 10_000);
const DOMAINS = Number(process.argv[3] ?? 100_000);
const IDLE_S = Number(process.argv[4] ?? 120);
const DOMAINS_AN_OBJECT = 1000;
/** For garbage collection and timers to come to rest. */
const REST_S = Math.min(20, IDLE_S);
const POD = "hub-0";

const proxies: Awaited<ReturnType<typeof startFaultProxy>>[] = [];
const ground = await startGround({
  async podsCall(server) {
    proxies.push(await startFaultProxy(server));
    return proxies[0]?.url ?? "";
  },
});
const { operator, server, cluster } = ground;
const memory: Record<string, unknown> = {};
const peaks = { operator: 0, pod: 0 };
const watching = setInterval(() => {
  peaks.operator = Math.max(peaks.operator, operator.process.rss());
  peaks.pod = Math.max(peaks.pod, podProcess()?.rss() ?? 0);
}, 100);

await ground.create(relayObjects({ replicas: 1, nextHopPort: 9 }));
await cluster.ready(POD, 60_000);
await ground.settled();
await startAnew();
await rest(REST_S);
remember("a handful of objects, idle");

const began = performance.now();
await ground.create([...domainObjects(), ...missRules(RULES)]);
const createdMs = performance.now() - began;
note("created");
const objects = 4 + RULES + Math.ceil(DOMAINS / DOMAINS_AN_OBJECT);
await until(async () => (await operator.metric("postroom_operator_status_writes_total")) >= objects, 180_000);
await ground.settled();
const writtenMs = performance.now() - began;
note("statuses written");
remember("all objects, at once after");
await rest(REST_S);

const before = await counts();
await rest(IDLE_S);
const after = await counts();
remember("all objects, idle");
note("idle");

await startAnew();
await until(() => inForce(podProcess()));
await rest(REST_S);
remember("all objects, pod started anew, idle");
memory["the most: operator ever, pod since its start"] = {
  operator: megabytes(peaks.operator),
  pod: megabytes(peaks.pod),
};

console.table(memory);
const [heads, chunks] = [await sizes("transportsnapshots"), await sizes("snapshotchunks")];
console.log(
  JSON.stringify(
    {
      rules: RULES,
      domains: DOMAINS,
      seconds: { toCreate: seconds(createdMs), untilStatusesAreWritten: seconds(writtenMs) },
      objects: { heads, chunks },
      callsAMinuteWhenIdle: {
        operator: aMinute(since(before.operator, after.operator)),
        pod: aMinute(since(before.pod, after.pod)),
        seenByTheServer: aMinute(since(before.server.requests, after.server.requests)),
        etcdOctets: Math.round(((after.server.etcdOctets - before.server.etcdOctets) * 60) / IDLE_S),
      },
    },
    null,
    1,
  ),
);
clearInterval(watching);
await ground.stop();
for (const proxy of proxies) await proxy.stop();
process.exit(0);

/** The process that ended left its compile cache (bin/postroom.js), as an image has it: so Node's compiler is not loaded. */
async function startAnew(): Promise<void> {
  const { process: earlier } = await cluster.ready(POD);
  await earlier.kill("SIGTERM");
  peaks.pod = 0;
  await until(() => (podProcess()?.pid ?? earlier.pid) !== earlier.pid);
  await until(() => cluster.pod(POD)?.isReady ?? false);
}

function podProcess(): LoggedProcess | undefined {
  return cluster.pod(POD)?.process;
}

function inForce(process: LoggedProcess | undefined): boolean {
  return (
    process?.lines.some(({ msg, rules }) => msg === "configuration in force" && rules === RULES) ?? false
  );
}

function remember(when: string): void {
  memory[when] = { operator: megabytes(operator.process.rss()), pod: megabytes(podProcess()?.rss() ?? 0) };
  note(`${when}: ${JSON.stringify(memory[when])}`);
}

async function counts() {
  return {
    server: await countsOf(server),
    operator: await operatorCounts(operator, "postroom_operator_requests_total"),
    pod: new Map(Object.entries(proxies[0]?.requests() ?? {})),
  };
}

function domainObjects(): BenchObject[] {
  return Array.from({ length: Math.ceil(DOMAINS / DOMAINS_AN_OBJECT) }, (_, n) => ({
    kind: "AcceptedDomain",
    name: `domains-${n}`,
    spec: {
      domains: Array.from({ length: DOMAINS_AN_OBJECT }, (_, m) => `customer-${n}-${m}.hosted.example`),
    },
  }));
}

async function sizes(plural: string) {
  const { items } = await server.admin<{ items: unknown[] }>("GET", `/apis/postroom.dev/v1alpha1/${plural}`);
  return {
    count: items.length,
    octets: items.reduce<number>((sum, one) => sum + JSON.stringify(one).length, 0),
  };
}

function aMinute(calls: Record<string, number>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(calls).map(([call, n]) => [call, Math.round((n * 600) / IDLE_S) / 10]),
  );
}

function rest(s: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, s * 1000));
}

function megabytes(octets: number): number {
  return Math.round(octets / 104857.6) / 10;
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}

function note(text: string): void {
  console.error(`${(performance.now() / 1000).toFixed(1)} s: ${text}`);
}
