/**
 * Cost of a changed configuration in the transport: buildPipeline from nothing, and after one change.
 *
 * `node --expose-gc bench/pipeline.ts` prints ms for each: 10,000 rules, 100,000 domains, 10,000 recipients, 1,000
 * connectors of each kind; and what the pipeline keeps in memory. Mail flows meanwhile: the goal is 20 ms after a change.
 *
 * @module
 */
import { AcceptedDomainSpec } from "../crds/accepted-domain.ts";
import { systemClock } from "../lib/clock.ts";
import type { Snapshot } from "../snapshot/schema.ts";
import { sendConnector } from "../test/helpers/delivery.ts";
import { memoryLog } from "../test/helpers/queue-items.ts";
import { receiveConnector, snapshotOf } from "../test/helpers/receive-connector.ts";
import { rule } from "../test/helpers/rules.ts";
import { buildPipeline, type Pipeline } from "../transport/pipeline.ts";
import { missCondition } from "./rule-shapes.ts";

const RULES = 10_000;
const RUNS = 200;

const deps = {
  clock: systemClock,
  log: memoryLog(),
  resolver: { addresses: async () => [], texts: async () => [] },
  onAgent: () => undefined,
};

function buildSnapshot(): Snapshot {
  return {
    ...snapshotOf(range(1000, (n) => receiveConnector({ name: `default/in${n}` }))),
    sendConnectors: range(1000, (n) =>
      sendConnector({ name: `default/out${n}`, addressSpaces: [{ domain: `*.space${n}.example`, cost: 1 }] }),
    ),
    acceptedDomains: range(100, newDomains),
    rules: range(RULES, newRule),
  };
}

function newDomains(n: number): Snapshot["acceptedDomains"][number] {
  const spec = AcceptedDomainSpec.parse({
    domains: range(1000, (m) => `domain${m}.group${n}.example`),
    recipients: { addresses: range(100, (m) => `user${m}@domain${m}.group${n}.example`) },
  });
  return { ...spec, name: `default/group${n}` };
}

function newRule(n: number): Snapshot["rules"][number] {
  return rule({ name: `default/rule${n}`, conditions: missCondition(n), actions: { setScl: 1 } });
}

function range<Item>(length: number, make: (n: number) => Item): Item[] {
  return Array.from({ length }, (_, n) => make(n));
}

/** `run`: a number never used before, for what must be new. */
type Change = (snapshot: Snapshot, run: number) => Partial<Snapshot>;

const CHANGES: Readonly<Record<string, Change>> = {
  "nothing changed": () => ({}),
  "first rule changed": ({ rules }, run) => ({ rules: rules.with(0, newRule(run)) }),
  "middle rule changed": ({ rules }, run) => ({ rules: rules.with(RULES / 2, newRule(run)) }),
  "last rule changed": ({ rules }, run) => ({ rules: rules.with(-1, newRule(run)) }),
  "rule removed": ({ rules }, run) => ({ rules: rules.toSpliced(run % RULES, 1) }),
  "rule added": ({ rules }, run) => ({ rules: rules.toSpliced(run % rules.length, 0, newRule(run)) }),
  "100 rules changed": ({ rules }, run) => ({
    rules: rules.map((entry, at) => (at % 100 === 0 ? newRule(run + at) : entry)),
  }),
  "domains changed": ({ acceptedDomains }, run) => ({
    acceptedDomains: acceptedDomains.with(run % 100, newDomains(run % 100)),
  }),
  "send connector changed": ({ sendConnectors }, run) => ({
    sendConnectors: sendConnectors.with(run % 1000, sendConnector({ name: `default/out${run % 1000}` })),
  }),
};

function measure(change: Change, start: Pipeline): number[] {
  let pipeline = start;
  return range(RUNS, (n) => {
    const snapshot = { ...pipeline.snapshot, ...change(pipeline.snapshot, RULES + n * RULES) };
    const began = performance.now();
    pipeline = buildPipeline(snapshot, new Map(), deps, pipeline);
    return performance.now() - began;
  });
}

function row(name: string, times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number) => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1).padStart(8);
  return `${name.padEnd(26)} ${at(0.5)} ${at(0.99)} ${at(0.999)}`;
}

function megabytes(): string {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  const mb = (octets: number) => (octets / 2 ** 20).toFixed(0);
  return `heap ${mb(heapUsed)} MiB, buffers ${mb(arrayBuffers)} MiB, resident ${mb(rss)} MiB`;
}

console.log(`nothing yet: ${megabytes()}`);
const snapshot = buildSnapshot();
console.log(`snapshot:    ${megabytes()}`);
const first = buildPipeline(snapshot, new Map(), deps);
console.log(`pipeline:    ${megabytes()}`);
console.log(`${"ms".padEnd(26)}      p50      p99  slowest`);
const cold = range(10, () => {
  const began = performance.now();
  buildPipeline({ ...snapshot, rules: snapshot.rules.map((entry) => ({ ...entry })) }, new Map(), deps);
  return performance.now() - began;
});
console.log(row("from nothing", cold));
for (const [name, change] of Object.entries(CHANGES)) console.log(row(name, measure(change, first)));
console.log(`at the end:  ${megabytes()}`);
