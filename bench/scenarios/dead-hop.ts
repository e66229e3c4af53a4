/** A next hop that is dead while 100,000 messages wait for it, and what happens when it returns. */
import { join } from "node:path";
import { freePort } from "../../test/helpers/free-port.ts";
import { median, ROOT, relayManifest } from "../processes.ts";
import { memoryMegabytes } from "../speed/mod.ts";
import { type Backlog, type BacklogFigures, measureBacklog } from "./backlog.ts";
import { milliseconds, percent, rate, whole } from "./figures.ts";
import type { Ground } from "./ground.ts";
import { peakMegabytes } from "./processes-at-work.ts";
import type { Findings, Goal, Scenario } from "./scenario.ts";

const RETRY_SECONDS = 5;

export const deadHop: Scenario = {
  name: "dead-hop",
  title: "A dead next hop with 100,000 queued messages",
  reading: `Nothing listens on the next hop's port. smtp-source queues 4 KiB messages in ten parts over 50 kept connections; the first and the last tenth are compared. Then, with nobody sending: how long the lists take, what the dead hop costs, and how long it takes from the hop's return to its first and its last message, counted by Message-ID. Both relays are told to try again after ${RETRY_SECONDS} seconds. The relay rate is of the same relay into the same sink, before anything was queued. Postfix gets a tenth of the messages, because it would take too long with all.`,
  async run(ground) {
    const count = ground.isQuick ? 2000 : 100_000;
    const ours = await ofPostroom(ground, count);
    const theirs = await ofPostfix(ground, count / 10);
    return findingsOf(theirs === undefined ? [ours] : [ours, theirs]);
  },
};

async function ofPostroom(ground: Ground, messages: number): Promise<BacklogFigures> {
  const sinkPort = await freePort();
  const transport = "limits: {maxPerDomainOutboundConnections: 50}";
  const relay = await ground.postroom({
    manifests: (port) =>
      relayManifest({ port, nextHopPort: sinkPort, transport }).replace(
        "retryIntervals: [1s]",
        `retryIntervals: [${RETRY_SECONDS}s]`,
      ),
  });
  const list = [process.execPath, join(ROOT, "bin/postroom.js"), "queue", "list", "--state", relay.state];
  const backlog: Backlog = {
    relay,
    sinkPort,
    messages,
    lists: [
      { name: "queues with their counts", command: list },
      {
        name: "every message",
        command: [...list, "--messages", "--limit", String(messages), "--output", "json"],
      },
    ],
    memoryMegabytes: () => memoryMegabytes(relay.pids()),
    peakMegabytes: () => peakMegabytes(relay.pid),
  };
  const figures = await measureBacklog(ground, backlog);
  await relay.stop();
  return figures;
}

async function ofPostfix(ground: Ground, messages: number): Promise<BacklogFigures | undefined> {
  const sinkPort = await freePort();
  const relay = await ground.postfix({
    nextHopPort: sinkPort,
    settings: ["minimal_backoff_time", "maximal_backoff_time", "queue_run_delay"].map(
      (name) => `${name} = ${RETRY_SECONDS}s`,
    ),
  });
  if (relay === undefined) return undefined;
  const figures = await measureBacklog(ground, {
    relay,
    sinkPort,
    messages,
    lists: [{ name: "every message", command: ["postqueue", "-c", relay.etc, "-j"] }],
    memoryMegabytes: () => memoryMegabytes(relay.pids()),
  });
  await relay.stop();
  return figures;
}

function findingsOf(all: readonly BacklogFigures[]): Findings {
  const rows: readonly (readonly [string, (figures: BacklogFigures) => string])[] = [
    ["messages queued", ({ queued }) => whole(queued)],
    ["relay rate before", ({ relayRates }) => rate(median(relayRates))],
    ["accepted, first tenth", ({ acceptRates }) => rate(acceptRates[0] ?? Number.NaN)],
    ["accepted, last tenth", ({ acceptRates }) => rate(acceptRates.at(-1) ?? Number.NaN)],
    ["memory before", ({ memoryBefore }) => `${whole(memoryBefore)} MB`],
    ["memory with all queued", ({ memoryQueued }) => `${whole(memoryQueued)} MB`],
    ["most resident memory until then", ({ memoryPeak }) => megabytes(memoryPeak)],
    ["most resident memory until all is drained", ({ memoryPeakDrained }) => megabytes(memoryPeakDrained)],
    ["lists", ({ lists }) => lists.map(({ name, ms }) => `${name}: ${milliseconds(ms)}`).join("; ")],
    ["meanwhile, CPU of a core", ({ idle }) => `${(idle.cpuShare * 100).toFixed(1)} %`],
    [
      "meanwhile, written to the disk a minute",
      ({ idle }) => `${(idle.writtenPerMinute / 1e6).toFixed(1)} MB`,
    ],
    ["hop is back until the first message", ({ drain }) => milliseconds(drain.firstMs)],
    ["until the last", ({ drain }) => milliseconds(drain.lastMs)],
    ["drain rate, first to last", ({ drain }) => rate(drain.perSecond)],
    ["arrived, twice", ({ drain }) => `${whole(drain.distinct)}, ${whole(drain.total - drain.distinct)}`],
  ];
  return {
    tables: [
      {
        columns: ["", ...all.map(({ name }) => name)],
        rows: rows.map(([name, cell]) => [name, ...all.map(cell)]),
      },
    ],
    goals: all.slice(0, 1).flatMap(goalsOf),
    raw: all,
  };
}

function goalsOf({ queued, memoryPeak, acceptRates, relayRates, drain }: BacklogFigures): Goal[] {
  const accepted = (acceptRates.at(-1) ?? 0) / (acceptRates[0] ?? 1);
  const drained = drain.perSecond / median(relayRates);
  const memory = memoryPeak ?? Number.NaN;
  return [
    {
      what: "resident memory until all is queued, at most",
      goal: "<= 500 MB",
      measured: megabytes(memory),
      isMet: memory <= 500,
    },
    {
      what: "accept rate, last tenth against first",
      goal: ">= 80 %",
      measured: percent(accepted),
      isMet: accepted >= 0.8,
    },
    {
      what: "drain rate against relay rate",
      goal: ">= 80 %",
      measured: percent(drained),
      isMet: drained >= 0.8,
    },
    {
      what: "delivered once",
      goal: whole(queued),
      measured: `${whole(drain.distinct)}, ${whole(drain.total - drain.distinct)} twice`,
      isMet: drain.distinct === queued && drain.total === queued,
    },
  ];
}

function megabytes(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? "" : `${whole(value)} MB`;
}
