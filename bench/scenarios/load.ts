/** Relay rate: smtp-source -> relay -> smtp-sink, both of Postfix, from the first connection to the last message at the sink. */
import { spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { guarded } from "../../test/helpers/process-guard.ts";
import { type Sink as SmtpSink, sourceCommand } from "../speed/mod.ts";
import { cpuSeconds, processWith } from "./processes-at-work.ts";
import type { Sink } from "./sink.ts";

export interface Load {
  readonly port: number;
  readonly messages: number;
  /** Cores, as taskset takes them. */
  readonly cores?: string;
}

export interface LoadFigures {
  readonly perSecond: number;
  /** Of CPU. */
  readonly sourceSeconds: number;
  readonly sinkSeconds: number;
}

/** 4 KiB, 50 kept connections. */
const SHAPE = {
  id: "kept",
  title: "4 KiB, kept",
  size: 4096,
  clients: 50,
  kept: true,
  recipients: 1,
  tls: false,
};
const TIMEOUT_MS = 120_000;
/** Longer than a next hop rests that was not there for a moment. */
const STALLED_MS = 75_000;
const RUN_IN_MS = 25_000;
const QUICK_MESSAGES = 200;
const SAMPLE_MS = 20;
const POLL_MS = 5;

export async function relayLoad(load: Load & { readonly sink: SmtpSink }): Promise<LoadFigures> {
  const { sink, messages } = load;
  const goal = sink.received() + messages;
  const sinkPid = processWith("smtp-sink", `127.0.0.1:${sink.port}`);
  const sinkBefore = cpuSeconds([sinkPid]);
  const began = performance.now();
  const source = startSource(load);
  try {
    await arrival(sink, goal);
    const seconds = (performance.now() - began) / 1000;
    const sinkSeconds = cpuSeconds([sinkPid]) - sinkBefore;
    const sourceSeconds = await source.ended;
    return { perSecond: messages / seconds, sinkSeconds, sourceSeconds };
  } finally {
    source.kill();
  }
}

/**
 * What a server of months has behind it: Node compiles what runs often, for about 50,000 messages. Returns how many
 * messages a run of `seconds` has after that.
 */
export async function runIn(
  { isQuick }: { readonly isQuick: boolean },
  load: Omit<Load, "messages"> & { readonly sink: SmtpSink },
  seconds: number,
): Promise<number> {
  const end = performance.now() + RUN_IN_MS;
  let rate = 0;
  let sent = 0;
  while (sent < (isQuick ? 100 : 50_000) && performance.now() < end) {
    const messages = isQuick ? 100 : Math.max(1000, Math.ceil(rate * 4));
    rate = (await relayLoad({ ...load, messages })).perSecond;
    sent += messages;
  }
  return isQuick ? QUICK_MESSAGES : Math.ceil(rate * seconds);
}

async function arrival(sink: SmtpSink, goal: number): Promise<void> {
  let left = goal - sink.received();
  for (let since = performance.now(); left > 0; ) {
    await delay(POLL_MS);
    const before = left;
    left = goal - sink.received();
    if (left < before) since = performance.now();
    if (performance.now() - since > STALLED_MS)
      throw new Error(`${left} messages did not arrive: none for ${STALLED_MS / 1000} s`);
  }
}

/** The same into a sink that counts by Message-Id. */
export async function relayRateInto(sink: Sink, load: Load): Promise<number> {
  await sink.clear();
  const began = performance.timeOrigin + performance.now();
  const source = startSource(load);
  const { distinct, lastAt } = await sink.until(load.messages, TIMEOUT_MS);
  source.kill();
  await source.ended;
  if (distinct < load.messages) throw new Error(`${distinct} of ${load.messages} messages arrived in time`);
  return load.messages / ((lastAt - began) / 1000);
}

/** Messages a second that a relay accepts, whatever becomes of them. */
export async function acceptRate(load: Load): Promise<number> {
  const began = performance.now();
  const source = startSource(load);
  const timer = setTimeout(() => source.kill(), TIMEOUT_MS);
  await source.ended;
  clearTimeout(timer);
  const seconds = (performance.now() - began) / 1000;
  if (seconds * 1000 >= TIMEOUT_MS) throw new Error(`${load.messages} messages were not accepted in time`);
  return load.messages / seconds;
}

interface Source {
  /** Resolves at its end with the seconds of CPU that it took. */
  readonly ended: Promise<number>;
  kill(): void;
}

function startSource({ port, messages, cores }: Load): Source {
  const command = sourceCommand(SHAPE, port, messages);
  const [program = "", ...words] = cores === undefined ? command : ["taskset", "-c", cores, ...command];
  const child = guarded(spawn(program, words, { stdio: ["ignore", "ignore", "inherit"] }));
  const { pid = 0 } = child;
  let seconds = 0;
  // Once it has ended nobody can ask any more.
  const timer = setInterval(() => {
    seconds = Math.max(seconds, cpuSeconds([pid]));
  }, SAMPLE_MS);
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", () => resolve(seconds));
  }).finally(() => clearInterval(timer));
  return { ended, kill: () => void child.kill("SIGKILL") };
}
