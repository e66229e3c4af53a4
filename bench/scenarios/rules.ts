/** Throughput with the whole pipeline and more and more rules. */
import { pipelineManifests } from "../pipeline-manifests.ts";
import { median } from "../processes.ts";
import type { Sink } from "../speed/mod.ts";
import { interleaved, percent, rateWithSpread, whole } from "./figures.ts";
import type { Postroom } from "./ground.ts";
import { relayLoad, runIn } from "./load.ts";
import { cpuSeconds } from "./processes-at-work.ts";
import type { Scenario } from "./scenario.ts";

const COUNTS = [10, 100, 1000, 10_000];
const RUN_SECONDS = 4;

interface Run {
  readonly perSecond: number;
  /** Microseconds of CPU of the transport for a message. */
  readonly cpu: number;
}

export const rules: Scenario = {
  name: "rules",
  title: "Throughput with 10 to 10,000 rules",
  reading:
    "Four transports side by side, each with 5 agents, 200 accepted domains and so many rules, of which the same ten match each message and do something to it. 4 KiB messages over 50 kept connections, in turns; a transport that is not measured is idle.",
  async run(ground) {
    const sink = await ground.smtpSink();
    const transport = "limits: {maxPerDomainOutboundConnections: 50}";
    const relays: Postroom[] = [];
    for (const count of COUNTS) {
      const manifests = (port: number) =>
        pipelineManifests({ port, nextHopPort: sink.port, rules: count, transport });
      relays.push(await ground.postroom({ name: whole(count), manifests }));
    }
    const counts = new Map<Postroom, number>();
    for (const relay of relays)
      counts.set(relay, await runIn(ground, { port: relay.port, sink }, RUN_SECONDS));
    const runs = await interleaved(ground.runs, relays, (relay) =>
      oneRun(relay, sink, counts.get(relay) ?? 1000),
    );
    const rates = relays.map((relay) => (runs.get(relay) ?? []).map(({ perSecond }) => perSecond));
    const cpu = relays.map((relay) => median((runs.get(relay) ?? []).map((run) => run.cpu)));
    const share = median(rates.at(-1) ?? []) / median(rates[0] ?? []);
    return {
      tables: [
        {
          columns: ["rules", "relay rate", "against 10", "CPU of the transport a message"],
          rows: relays.map(({ name }, n) => [
            name,
            rateWithSpread(rates[n] ?? []),
            percent(median(rates[n] ?? []) / median(rates[0] ?? [])),
            `${whole(cpu[n] ?? Number.NaN)} µs`,
          ]),
        },
      ],
      goals: [
        { what: "10,000 rules against 10", goal: ">= 90 %", measured: percent(share), isMet: share >= 0.9 },
      ],
      raw: relays.map((relay) => ({ rules: relay.name, runs: runs.get(relay) })),
    };
  },
};

async function oneRun({ port, pids }: Postroom, sink: Sink, messages: number): Promise<Run> {
  const before = cpuSeconds(pids());
  const { perSecond } = await relayLoad({ port, sink, messages });
  return { perSecond, cpu: ((cpuSeconds(pids()) - before) / messages) * 1e6 };
}
