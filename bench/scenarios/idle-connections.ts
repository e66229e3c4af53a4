/** What 10,000 connections cost that say EHLO and then nothing: memory, and throughput of the others. */
import { median, relayManifest } from "../processes.ts";
import { memoryMegabytes } from "../speed/mod.ts";
import { interleaved, percent, rateWithSpread, whole } from "./figures.ts";
import type { Ground, Postroom } from "./ground.ts";
import { relayLoad, runIn } from "./load.ts";
import type { Scenario } from "./scenario.ts";

const RUN_SECONDS = 4;

export const idleConnections: Scenario = {
  name: "idle",
  title: "10,000 idle connections",
  reading:
    "Two transports side by side, one with connections that a process of its own has opened (a hundred at a time, from ten source addresses), each after its EHLO. Memory (resident, pages that several processes share divided among them) is read three seconds after the last was open and before any mail. The rates of 4 KiB messages over kept connections are measured in turns. Start is from the command to the first banner.",
  async run(ground) {
    const sink = await ground.smtpSink();
    const transport = "limits: {maxInboundConnections: 20000, maxPerDomainOutboundConnections: 50}";
    const start = (name: string) =>
      ground.postroom({
        name,
        manifests: (port) => relayManifest({ port, nextHopPort: sink.port, transport }),
      });
    const busy = await start("with them");
    const quiet = await start("without");
    const starts = [busy.startMs, quiet.startMs];
    const load = ({ port }: Postroom, messages: number) => relayLoad({ port, sink, messages });
    // Before any mail: what a heap has left of that would hold the connections too.
    const memory = await openAll(ground, busy);
    await runIn(ground, { port: busy.port, sink }, RUN_SECONDS);
    const messages = await runIn(ground, { port: quiet.port, sink }, RUN_SECONDS);
    const rates = await interleaved(ground.runs, [quiet, busy], (relay) =>
      load(relay, messages).then((figures) => figures.perSecond),
    );
    const open = await memory.countOpen();
    const after = memoryMegabytes(busy.pids()) - memoryMegabytes(quiet.pids());
    const [without, withThem] = [quiet, busy].map((relay) => rates.get(relay) ?? []);
    const share = median(withThem ?? []) / median(without ?? []);
    const more = (memory.rows.at(-1)?.megabytes ?? Number.NaN) - (memory.rows[0]?.megabytes ?? 0);
    return {
      tables: [
        {
          columns: ["open connections", "memory", "more than none"],
          rows: memory.rows.map(({ count, megabytes }) => [
            whole(count),
            `${whole(megabytes)} MB`,
            `${whole(megabytes - (memory.rows[0]?.megabytes ?? 0))} MB`,
          ]),
        },
        {
          columns: ["throughput", "4 KiB, kept"],
          rows: [
            ["without idle connections", rateWithSpread(without ?? [])],
            [`with ${whole(open)}, all still open at the end`, rateWithSpread(withThem ?? [])],
          ],
        },
      ],
      goals: [
        {
          what: `memory of ${whole(memory.wanted)} idle connections`,
          goal: "<= 300 MB",
          measured: `${whole(more)} MB`,
          isMet: more <= 300,
        },
        { what: "throughput with them", goal: ">= 90 %", measured: percent(share), isMet: share >= 0.9 },
        {
          what: "still open after the load",
          goal: whole(memory.wanted),
          measured: whole(open),
          isMet: open === memory.wanted,
        },
      ],
      notes: [
        `Start to first banner: ${starts.map((time) => `${whole(time)} ms`).join(", ")}. After the load the transport with the idle connections had ${whole(after)} MB more than the other.`,
      ],
      raw: { memory: memory.rows, without, withThem, starts, open },
    };
  },
};

async function openAll(ground: Ground, { port, pids }: Postroom) {
  const wanted = ground.isQuick ? 500 : 10_000;
  await settled();
  const rows = [{ count: 0, megabytes: memoryMegabytes(pids()) }];
  const idle = await ground.idle(port);
  for (const more of [wanted / 10, wanted - wanted / 10]) {
    const count = await idle.open(more);
    await settled();
    rows.push({ count, megabytes: memoryMegabytes(pids()) });
  }
  ground.say(`${rows.at(-1)?.count} connections are open`);
  return { wanted, rows, countOpen: () => idle.count() };
}

function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 3000));
}
