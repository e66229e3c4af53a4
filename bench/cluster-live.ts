/**
 * Cluster live: changes of single rules in a played cluster, from the beginning of the PATCH to mail that shows them.
 *
 *   node bench/cluster-live.ts [changes] [rules] [folder for CPU profiles]
 *
 * A real API server and etcd, the operator and three transport pods as processes. Each change gives another rule an action
 * that sets a header; each pod is sent a message every few milliseconds that this rule alone matches. A pod has switched
 * when the sink receives the header from it, so the way of that message is part of the figure: it is printed beside it.
 *
 * @module
 */
import type { LogLine } from "../test/helpers/logged-process.ts";
import { openDialogue } from "../test/helpers/smtp-dialogue.ts";
import {
  countsOf,
  missRules,
  operatorCounts,
  PORT,
  relayObjects,
  since,
  startGround,
  until,
} from "./cluster-ground.ts";
import { startCountingSink } from "./counting-sink.ts";
import { percentile } from "./processes.ts";

const CHANGES = Number(process.argv[2] ?? 200);
const RULES = Number(process.argv[3] ?? 10_000);
const PROFILES = process.argv[4];
const PODS = ["hub-0", "hub-1", "hub-2"];
const PAUSE_MS = 8;
/** Rules that are changed: every so many of all. */
const STEP = Math.max(1, Math.floor(RULES / CHANGES));

/** The rule in change; messages are made so that it alone holds for them. */
let turn = 0;
let stopped = false;
let [sent, failed] = [0, 0];
const faults = new Map<string, number>();
const messageMs: number[] = [];
/** Pod -> when the header of this turn came from it first. */
let shown = new Map<string, number>();

const sink = await startCountingSink((content) => {
  const now = performance.now();
  const field = (name: string) => new RegExp(`^${name}: (.*)\r$`, "m").exec(content)?.[1] ?? "";
  messageMs.push(now - Number(field("X-Sent")));
  const pod = field("X-Pod");
  if (Number(field("X-Revision")) === turn && !shown.has(pod)) shown.set(pod, now);
});
const ground = await startGround({ profiles: PROFILES });
const { operator, server, cluster } = ground;

const began = performance.now();
await ground.create(relayObjects({ replicas: PODS.length, nextHopPort: sink.port }));
for (const pod of PODS) await cluster.ready(pod, 60_000);
await ground.create([...changingRules(), ...missRules(RULES - CHANGES)]);
const loadedMs = performance.now() - began;
note(`${RULES} rules created`);
await ground.settled();
const settledMs = performance.now() - began;
note("served, statuses written");
const senders = PODS.map((pod) => sendTo(pod));
await until(() => messageMs.length > 300);
messageMs.length = 0;

const known = new Map(PODS.map((pod) => [pod, inForce(pod).length]));
const before = await counts();
const [first, all]: [number[], number[]] = [[], []];
const patchMs: number[] = [];
const stages: (readonly number[])[] = [];
for (let n = 1; n <= CHANGES; n += 1) {
  shown = new Map();
  turn = n;
  const start = performance.now();
  await ground.patch("TransportRule", ruleName(n), { actions: { setHeader: header(n) } });
  patchMs.push(performance.now() - start);
  await until(() => shown.size === PODS.length);
  // So that no line of this change is taken for one of the next.
  await until(() => PODS.every((pod) => inForce(pod).length > n + (known.get(pod) ?? 0) - 1));
  const times = [...shown.values()].map((time) => time - start);
  stages.push(stagesOf(start));
  first.push(Math.min(...times));
  all.push(Math.max(...times));
  if (n % 50 === 0) note(`${n} changes`);
}
stopped = true;
await Promise.all(senders);
await ground.settled();
const after = await counts();
console.table({
  "to the first pod": figures(first),
  "to all three": figures(all),
  "  the PATCH itself": figures(patchMs),
  "  head names the canary": figures(stages.map(([at = 0]) => at)),
  "  in force in the canary": figures(stages.map(([, at = 0]) => at)),
  "  head names it for all": figures(stages.map(([, , at = 0]) => at)),
  "  in force in the last pod": figures(stages.map(([, , , at = 0]) => at)),
  "a message, MAIL to sink": figures(messageMs),
  "build and swap in a pod": figures(
    PODS.flatMap((pod) => inForce(pod).slice(-CHANGES)).map(({ ms }) => Number(ms)),
  ),
});
const requests = since(before.server.requests, after.server.requests);
const byOperator = since(before.operator, after.operator);
console.log(
  JSON.stringify(
    {
      rules: RULES,
      changes: CHANGES,
      secondsToCreate: Math.round(loadedMs / 100) / 10,
      secondsToServe: Math.round(settledMs / 100) / 10,
      messages: { sent, received: messageMs.length, failed, faults: Object.fromEntries(faults) },
      aChange: {
        chunkOctets: perChange(after.chunkOctets - before.chunkOctets),
        etcdOctets: perChange(after.server.etcdOctets - before.server.etcdOctets),
        requests: mapValues(requests, perChange),
        requestsOfTheOperator: mapValues(byOperator, perChange),
      },
    },
    null,
    1,
  ),
);
for (const pod of PODS) console.log(pod, cluster.pod(pod)?.process.rss());
await ground.stop();
await sink.close();
process.exit(failed === 0 ? 0 : 1);

/** ms from the PATCH to each stage, as the logs of the operator and the pods have it. */
function stagesOf(start: number): readonly number[] {
  const timeOf = (line: LogLine | undefined) =>
    Date.parse(String(line?.time)) - performance.timeOrigin - start;
  const heads = operator.process.lines.filter(({ msg }) => msg === "head written").slice(-2);
  const switched = PODS.map((pod) => timeOf(inForce(pod).at(-1)));
  return [timeOf(heads[0]), Math.min(...switched), timeOf(heads[1]), Math.max(...switched)];
}

function inForce(pod: string): readonly LogLine[] {
  return (cluster.pod(pod)?.process.lines ?? []).filter(({ msg }) => msg === "configuration in force");
}

/** Progress, apart from the figures. */
function note(text: string): void {
  console.error(`${((performance.now() - began) / 1000).toFixed(1)} s: ${text}`);
}

async function counts() {
  return {
    server: await countsOf(server),
    operator: await operatorCounts(operator, "postroom_operator_requests_total"),
    chunkOctets: await operator.metric("postroom_operator_chunk_bytes_written_total"),
  };
}

/** One kept connection. */
async function sendTo(pod: string): Promise<void> {
  const { place } = await cluster.ready(pod);
  const client = await openDialogue({ host: place.address, port: PORT });
  while (!stopped) {
    const content = `From: a@source.example\r\nSubject: probe${turn}\r\nX-Pod: ${pod}\r\nX-Sent: ${performance.now()}\r\n\r\nHi.\r\n`;
    const answer = await client
      .send("a@source.example", ["ann@contoso.example"], content)
      .catch((error: Error) => error.message);
    if (answer.startsWith("250")) sent += 1;
    else {
      failed += 1;
      faults.set(answer, (faults.get(answer) ?? 0) + 1);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  await client.say("QUIT").catch(() => "");
  client.close();
}

function ruleName(n: number): string {
  return `changing-${n}`;
}

function header(n: number) {
  return [{ name: "X-Revision", value: `${n}` }];
}

/** Spread among the others by their priority. */
function changingRules() {
  return Array.from({ length: CHANGES }, (_, index) => ({
    kind: "TransportRule",
    name: ruleName(index + 1),
    spec: {
      priority: index * STEP,
      conditions: { subjectContainsWords: [`probe${index + 1}`] },
      actions: { setHeader: header(0) },
    },
  }));
}

function figures(values: readonly number[]) {
  const at = (share: number) => Math.round(percentile(values, share) * 10) / 10;
  return { count: values.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

function perChange(value: number): number {
  return Math.round((value / CHANGES) * 100) / 100;
}

function mapValues(record: Record<string, number>, change: (value: number) => number) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
