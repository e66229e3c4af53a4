/** One worker and two, on one core and on both, and what eight cores would give. */
import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { join } from "node:path";
import { median, ROOT, relayManifest } from "../processes.ts";
import type { Sink } from "../speed/mod.ts";
import { type DiskAbility, diskAbility } from "./disk-ability.ts";
import { estimateFor } from "./eight-cores.ts";
import { interleaved, rate, rateWithSpread, whole } from "./figures.ts";
import type { Ground, Postroom } from "./ground.ts";
import { relayLoad, runIn } from "./load.ts";
import { diskOfQueues } from "./machine.ts";
import { cpuSeconds, deviceFlushes, deviceWrittenBytes, threadSeconds } from "./processes-at-work.ts";
import type { Scenario } from "./scenario.ts";

const RUN_SECONDS = 4;
const CORES = 8;

interface Row {
  readonly name: string;
  readonly relay: Postroom;
  readonly loadCores?: string;
}

/** Of one message, but for `perSecond`. CPU in seconds. */
interface Run {
  readonly perSecond: number;
  readonly cpu: number;
  readonly busiestThread: number;
  readonly source: number;
  readonly sink: number;
  readonly written: number;
  readonly flushes: number;
}

export const workers: Scenario = {
  name: "workers",
  title: "Workers and cores",
  reading: `4 KiB messages over 50 kept connections, in turns. First the load and the sink have core 0 and the transport core 1; then all share both. CPU is of a message: of the whole transport, of its busiest thread, of smtp-source and of smtp-sink. The estimate for ${CORES} cores with the load elsewhere takes a worker to be bound by its busiest thread and all of them by the cores, and that each further worker adds to the cost of a message as the second one did at most once; then it is held against what the disk can do alone.`,
  async run(ground) {
    if (cpus().length < 2) throw new Error("Needs two cores");
    const sink = await ground.smtpSink();
    const rows = await rowsOf(ground, sink);
    const counts = new Map<Row, number>();
    for (const row of rows) counts.set(row, await runIn(ground, loadOf(row, sink), RUN_SECONDS));
    const runs = await interleaved(ground.runs, rows, (row) => oneRun(row, sink, counts.get(row) ?? 500));
    const disk = await diskAbility(ground.isQuick ? 300 : 2000);
    const medians = rows.map((row) => ({ row, ...mediansOf(runs.get(row) ?? []) }));
    const micro = (seconds: number) => `${whole(seconds * 1e6)} µs`;
    return {
      tables: [
        {
          columns: ["", "relay rate", "transport", "busiest thread", "source", "sink", "written", "flushes"],
          rows: medians.map(({ row, cpu, busiestThread, source, sink, written, flushes }) => [
            row.name,
            rateWithSpread((runs.get(row) ?? []).map(({ perSecond }) => perSecond)),
            ...[cpu, busiestThread, source, sink].map(micro),
            `${(written / 1024).toFixed(1)} KiB`,
            flushes.toFixed(3),
          ]),
        },
      ],
      goals: [],
      notes: notesOf(medians, disk),
      raw: { rows: rows.map((row) => ({ name: row.name, runs: runs.get(row) })), disk },
    };
  },
};

async function rowsOf(ground: Ground, sink: Sink): Promise<Row[]> {
  const start = (workerCount: number, cores?: string) =>
    ground.postroom({
      manifests: (port) =>
        relayManifest({
          port,
          nextHopPort: sink.port,
          transport: "limits: {maxPerDomainOutboundConnections: 50}",
        }),
      ...(workerCount === 1 ? {} : { args: ["--workers", String(workerCount)] }),
      ...(cores === undefined ? {} : { cores }),
    });
  const rows: Row[] = [
    { name: "1 worker on core 1, load on core 0", relay: await start(1, "1"), loadCores: "0" },
    { name: "1 worker, both cores for all", relay: await start(1) },
  ];
  if (!knowsWorkers()) {
    ground.say("SKIPPED: two workers: `postroom run` has no --workers");
    return rows;
  }
  return [...rows, { name: "2 workers, both cores for all", relay: await start(2) }];
}

function knowsWorkers(): boolean {
  const help = spawnSync(process.execPath, [join(ROOT, "bin/postroom.js"), "run", "--help"], {
    encoding: "utf8",
  });
  return help.stdout.includes("--workers");
}

function loadOf({ relay, loadCores }: Row, sink: Sink) {
  return { port: relay.port, sink, ...(loadCores === undefined ? {} : { cores: loadCores }) };
}

async function oneRun(row: Row, sink: Sink, messages: number): Promise<Run> {
  const { pids, pid } = row.relay;
  const { device } = diskOfQueues();
  const look = () => ({
    cpu: cpuSeconds(pids()),
    threads: new Map(threadSeconds(pid).map(({ id, seconds }) => [id, seconds])),
    written: deviceWrittenBytes(device),
    flushes: deviceFlushes(device),
  });
  const before = look();
  const { perSecond, sourceSeconds, sinkSeconds } = await relayLoad({ ...loadOf(row, sink), messages });
  const after = look();
  const threads = [...after.threads].map(([id, seconds]) => seconds - (before.threads.get(id) ?? 0));
  return {
    perSecond,
    cpu: (after.cpu - before.cpu) / messages,
    busiestThread: Math.max(...threads) / messages,
    source: sourceSeconds / messages,
    sink: sinkSeconds / messages,
    written: (after.written - before.written) / messages,
    flushes: (after.flushes - before.flushes) / messages,
  };
}

function mediansOf(runs: readonly Run[]): Run {
  const of = (figure: (run: Run) => number) => median(runs.map(figure));
  return {
    perSecond: of(({ perSecond }) => perSecond),
    cpu: of(({ cpu }) => cpu),
    busiestThread: of(({ busiestThread }) => busiestThread),
    source: of(({ source }) => source),
    sink: of(({ sink }) => sink),
    written: of(({ written }) => written),
    flushes: of(({ flushes }) => flushes),
  };
}

function notesOf(rows: readonly Run[], disk: DiskAbility): string[] {
  const [pinned, one, two] = rows;
  if (pinned === undefined || one === undefined) return [];
  const growth = two === undefined ? "; what a further worker costs is not known and taken as nothing" : "";
  const estimates = [1, 2, 4, 8].map((count) => ({
    ...estimateFor(CORES, count, {
      one: { cpu: pinned.cpu, busiestThread: pinned.busiestThread },
      two: { cpu: pinned.cpu * ((two ?? one).cpu / one.cpu), busiestThread: pinned.busiestThread },
    }),
  }));
  const best = estimates.at(-1)?.perSecond ?? 0;
  const limits = [
    { what: "the CPU", perSecond: best },
    { what: "the disk's flushes", perSecond: disk.flushesPerSecond / pinned.flushes },
    { what: "the disk's throughput", perSecond: disk.bytesPerSecond / pinned.written },
  ].toSorted((a, b) => a.perSecond - b.perSecond);
  return [
    `On ${CORES} cores with the load elsewhere${growth}: ${estimates.map(({ workers, perSecond, boundBy }) => `${workers} ${workers === 1 ? "worker" : "workers"} ${rate(perSecond)} (bound by ${boundBy})`).join(", ")}.`,
    `The load for ${rate(best)} takes ${(best * (pinned.source + pinned.sink)).toFixed(1)} cores elsewhere. The disk alone: ${rate(disk.flushesPerSecond)} flushes of 4 KiB by four writers side by side (${rate(disk.flushesAlone)} by one), ${whole(disk.bytesPerSecond / 1e6)} MB/s in large writes.`,
    `What ends first: ${limits.map(({ what, perSecond }) => `${what} at ${rate(perSecond)}`).join(", then ")}. A flush takes all messages that wait for it, so flushes a message fall with the load and that bound is the lowest it can be.`,
  ];
}
