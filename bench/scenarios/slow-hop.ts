/** A next hop that takes 200 ms for each reply: what goes through it, and whether another one is held up. */
import { median, relayManifest } from "../processes.ts";
import { interleaved, milliseconds, rateWithSpread, spreadCells, spreadOf, whole } from "./figures.ts";
import type { Ground, Relay } from "./ground.ts";
import type { Goal, Scenario } from "./scenario.ts";
import { send } from "./sender.ts";
import type { Sink } from "./sink.ts";

const DELAY_MS = 200;
const CONNECTIONS = 50;
const QUICK_PER_SECOND = 50;

interface Run {
  readonly aloneAgesMs: readonly number[];
  readonly besideAgesMs: readonly number[];
  readonly slowPerSecond: number;
  readonly roundTrips: number;
  readonly delivered: number;
}

interface Rig {
  readonly slow: Sink;
  readonly quick: Sink;
  readonly messages: number;
}

export const slowHop: Scenario = {
  name: "slow-hop",
  title: "A slow next hop",
  reading: `One next hop waits ${DELAY_MS} ms before each answer (commands that come together are answered together), another does not; a relay may open ${CONNECTIONS} connections to each. In turns for each relay: ${QUICK_PER_SECOND} messages a second to the quick hop, alone; then the same while a backlog for the slow one, accepted at once, drains. *Bound* is what ${CONNECTIONS} connections can do with the round trips that a message took, as the hop counted them. The age of a message is from when it was due at its sender to the end of its data at the quick hop.`,
  async run(ground) {
    const rig: Rig = {
      slow: await ground.sink({ delayMs: DELAY_MS }),
      quick: await ground.sink(),
      messages: ground.isQuick ? 200 : 800,
    };
    const postroom = await ground.postroom({ manifests: (port) => manifestsOf(port, rig) });
    const postfix = await ground.postfix({
      nextHopPort: rig.quick.port,
      settings: [`transport_maps = inline:{{slow.example = smtp:[127.0.0.1]:${rig.slow.port}}}`],
    });
    const relays: readonly Relay[] = postfix === undefined ? [postroom] : [postroom, postfix];
    for (const relay of relays) await oneRun(ground, rig, relay);
    const runs = await interleaved(ground.runs, relays, (relay) => oneRun(ground, rig, relay));
    const ages = (relay: Relay, of: (run: Run) => readonly number[]) => (runs.get(relay) ?? []).flatMap(of);
    const rows = relays.map((relay) => {
      const all = runs.get(relay) ?? [];
      return [
        relay.name,
        rateWithSpread(all.map(({ slowPerSecond }) => slowPerSecond)),
        median(all.map(({ roundTrips }) => roundTrips)).toFixed(2),
        `${whole(boundOf(all))}/s`,
        ...spreadCells(ages(relay, ({ aloneAgesMs }) => aloneAgesMs)).slice(0, 2),
        ...spreadCells(ages(relay, ({ besideAgesMs }) => besideAgesMs)),
      ];
    });
    const columns = ["relay", "through the slow hop", "round trips a message", "bound"];
    const times = ["quick hop alone p50", "p99", "beside the slow one p50", "p99", "longest"];
    return {
      tables: [{ columns: [...columns, ...times], rows }],
      goals: goalsOf(runs.get(postroom) ?? [], rig.messages),
      raw: relays.map((relay) => ({
        relay: relay.name,
        runs: (runs.get(relay) ?? []).map(({ aloneAgesMs, besideAgesMs, ...run }) => ({
          ...run,
          alone: spreadOf(aloneAgesMs),
          beside: spreadOf(besideAgesMs),
        })),
      })),
    };
  },
};

function manifestsOf(port: number, { slow, quick }: Rig): string {
  const transport = `limits: {maxPerDomainOutboundConnections: ${CONNECTIONS}}`;
  return `${relayManifest({ port, nextHopPort: quick.port, transport })}---
apiVersion: postroom.dev/v1alpha1
kind: AcceptedDomain
metadata: {name: others}
spec: {domains: [slow.example, quick.example]}
---
apiVersion: postroom.dev/v1alpha1
kind: SendConnector
metadata: {name: slow}
spec:
  addressSpaces: [{domain: slow.example}]
  routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${slow.port}}]}
  tls: {mode: None}
`;
}

async function oneRun(ground: Ground, { slow, quick, messages }: Rig, relay: Relay): Promise<Run> {
  const { port } = relay;
  const seconds = ground.isQuick ? 1 : 4;
  const trickle = { port, size: 4096, to: "ann@quick.example", perSecond: QUICK_PER_SECOND, connections: 5 };
  await Promise.all([slow.clear(), quick.clear()]);
  const alone = await send({ ...trickle, seconds });
  const { agesMs: aloneAgesMs } = await quick.until(alone.accepted, 30_000);
  await quick.clear();
  const backlog = await send({
    port,
    size: 4096,
    to: "ann@slow.example",
    connections: 20,
    seconds: 60,
    messages,
  });
  const beside = await send({ ...trickle, seconds });
  const { agesMs: besideAgesMs } = await quick.until(beside.accepted, 30_000);
  const { distinct, firstAt, lastAt, roundTrips } = await slow.until(backlog.accepted, 60_000);
  return {
    ...{ aloneAgesMs, besideAgesMs, roundTrips },
    // All connections bring their first one at the same time.
    slowPerSecond: (distinct - CONNECTIONS) / ((lastAt - firstAt) / 1000),
    delivered: distinct,
  };
}

function boundOf(runs: readonly Run[]): number {
  return CONNECTIONS / ((median(runs.map(({ roundTrips }) => roundTrips)) * DELAY_MS) / 1000);
}

function goalsOf(runs: readonly Run[], messages: number): Goal[] {
  const alone = spreadOf(runs.flatMap(({ aloneAgesMs }) => aloneAgesMs)).p99;
  const beside = spreadOf(runs.flatMap(({ besideAgesMs }) => besideAgesMs)).p99;
  const share = median(runs.map(({ slowPerSecond }) => slowPerSecond)) / boundOf(runs);
  return [
    {
      what: "through the slow hop, against what its round trips allow",
      goal: ">= 80 %",
      measured: `${Math.round(share * 100)} %`,
      isMet: share >= 0.8,
    },
    {
      what: "quick hop not held up: p99 beside the slow one",
      goal: `<= alone + ${DELAY_MS / 2} ms`,
      measured: `${milliseconds(beside)} against ${milliseconds(alone)}`,
      isMet: beside <= alone + DELAY_MS / 2,
    },
    {
      what: "all delivered",
      goal: whole(messages),
      measured: whole(Math.min(...runs.map(({ delivered }) => delivered))),
      isMet: runs.every(({ delivered }) => delivered === messages),
    },
  ];
}
