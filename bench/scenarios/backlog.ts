/** One relay with a dead next hop: filled, looked at, drained. */
import { spawn } from "node:child_process";
import { guarded } from "../../test/helpers/process-guard.ts";
import { median } from "../processes.ts";
import { rate } from "./figures.ts";
import type { Ground, Relay } from "./ground.ts";
import { acceptRate, relayRateInto } from "./load.ts";
import { diskOfQueues } from "./machine.ts";
import { cpuSeconds, deviceWrittenBytes } from "./processes-at-work.ts";

export interface Backlog {
  readonly relay: Relay;
  readonly sinkPort: number;
  readonly messages: number;
  readonly lists: readonly { readonly name: string; readonly command: readonly string[] }[];
  memoryMegabytes(): number;
  /** Left out: cannot be known. */
  peakMegabytes?(): number;
}

export interface BacklogFigures {
  readonly name: string;
  readonly queued: number;
  readonly relayRates: readonly number[];
  /** Messages a second of each tenth. */
  readonly acceptRates: readonly number[];
  readonly memoryBefore: number;
  readonly memoryQueued: number;
  readonly memoryPeak: number | undefined;
  readonly memoryPeakDrained: number | undefined;
  readonly lists: readonly { readonly name: string; readonly ms: number }[];
  readonly idle: IdleCost;
  readonly drain: Drain;
}

interface IdleCost {
  readonly cpuShare: number;
  /** By everybody on the disk of the queue. */
  readonly writtenPerMinute: number;
}

interface Drain {
  /** From the hop's return. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly perSecond: number;
  readonly distinct: number;
  readonly total: number;
}

const DRAIN_TIMEOUT_MS = 300_000;

export async function measureBacklog(ground: Ground, backlog: Backlog): Promise<BacklogFigures> {
  const { relay, messages } = backlog;
  const relayRates = await relayRatesOf(ground, backlog);
  ground.say(`${relay.name} relays ${rate(median(relayRates))}`);
  const memoryBefore = backlog.memoryMegabytes();
  const acceptRates: number[] = [];
  for (let tenth = 0; tenth < 10; tenth += 1)
    acceptRates.push(await acceptRate({ port: relay.port, messages: messages / 10 }));
  ground.say(`${relay.name} has queued ${messages}`);
  const memoryQueued = backlog.memoryMegabytes();
  const memoryPeak = backlog.peakMegabytes?.();
  const lists: { readonly name: string; readonly ms: number }[] = [];
  for (const { name, command } of backlog.lists) lists.push({ name, ms: await timeOf(command) });
  const idle = await idleCost(relay, ground.isQuick ? 3 : 30);
  const drain = await drainOf(ground, backlog);
  const memoryPeakDrained = backlog.peakMegabytes?.();
  ground.say(`${relay.name} delivered ${drain.distinct} of ${messages} at ${rate(drain.perSecond)}`);
  return {
    name: relay.name,
    queued: messages,
    ...{
      relayRates,
      acceptRates,
      memoryBefore,
      memoryQueued,
      memoryPeak,
      memoryPeakDrained,
      lists,
      idle,
      drain,
    },
  };
}

/** The hop is there for these runs and then gone. */
async function relayRatesOf(ground: Ground, { relay, sinkPort }: Backlog): Promise<number[]> {
  const sink = await ground.sink({ port: sinkPort });
  const { port } = relay;
  const warm = await relayRateInto(sink, { port, messages: ground.isQuick ? 200 : 1000 });
  const messages = ground.isQuick ? 300 : Math.ceil(warm * 3);
  const rates: number[] = [];
  for (let run = 0; run < ground.runs; run += 1) rates.push(await relayRateInto(sink, { port, messages }));
  await sink.stop();
  return rates;
}

async function timeOf([program = "", ...words]: readonly string[]): Promise<number> {
  const began = performance.now();
  const child = guarded(spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] }));
  child.stdout?.resume();
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`"${program} ${words.join(" ")}" ended with ${code}`);
  return performance.now() - began;
}

async function idleCost(relay: Relay, seconds: number): Promise<IdleCost> {
  const { device } = diskOfQueues();
  const before = {
    cpu: cpuSeconds(relay.pids()),
    written: deviceWrittenBytes(device),
    at: performance.now(),
  };
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const elapsed = (performance.now() - before.at) / 1000;
  return {
    cpuShare: (cpuSeconds(relay.pids()) - before.cpu) / elapsed,
    writtenPerMinute: ((deviceWrittenBytes(device) - before.written) / elapsed) * 60,
  };
}

async function drainOf(ground: Ground, { sinkPort, messages }: Backlog): Promise<Drain> {
  const sink = await ground.sink({ port: sinkPort });
  const began = performance.timeOrigin + performance.now();
  await sink.until(messages, DRAIN_TIMEOUT_MS);
  // One that comes twice comes within the retry interval.
  await new Promise((resolve) => setTimeout(resolve, ground.isQuick ? 1000 : 7000));
  const { total, distinct, firstAt, lastAt } = await sink.report();
  await sink.stop();
  return {
    firstMs: total === 0 ? Number.NaN : firstAt - began,
    lastMs: distinct < messages ? Number.NaN : lastAt - began,
    perSecond: (total - 1) / ((lastAt - firstAt) / 1000),
    total,
    distinct,
  };
}
