/** One case for several peers: each is warmed up until its rate is steady, then they run in turns. */
import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Case } from "./cases.ts";
import { send, sourceCommand } from "./load.ts";
import type { RunningPeer } from "./peer.ts";
import { memoryMegabytes } from "./processes-of.ts";
import { type CaseResult, type Row, type Run, rateOf } from "./result.ts";
import type { Sink } from "./sink.ts";
import { isSteady, medianOf, messagesFor } from "./statistics.ts";

export interface Entrant {
  readonly name: string;
  readonly running: RunningPeer;
  /** Its next hop, and nobody else's. */
  readonly sink: Sink;
}

/** One that takes part in a case. */
export interface Starter extends Entrant {
  /** Load that it has before the runs that count. */
  readonly runInSeconds: number;
}

export interface Effort {
  /** Of each peer. */
  readonly runs: number;
  /** About, for each run. */
  readonly seconds: number;
  /** One line of progress. */
  say(line: string): void;
}

/** Who takes more than so many times its share has fewer runs. */
const PATIENCE = 1.5;
const WARM_UPS = 4;
const STEADY = 0.1;
const PROBE = 10;

interface Turn extends Starter {
  copies: number;
  messages: number;
  spentSeconds: number;
  readonly runs: Run[];
  failure?: string;
}

export async function measureCase(
  one: Case,
  entrants: readonly Starter[],
  effort: Effort,
): Promise<CaseResult> {
  const turns = entrants.map(
    (entrant): Turn => ({ ...entrant, copies: 1, messages: PROBE, spentSeconds: 0, runs: [] }),
  );
  for (const turn of turns) await tryIt(turn, () => warmUp(one, turn, effort));
  const patience = PATIENCE * effort.seconds * effort.runs;
  for (let round = 0; round < effort.runs; round += 1) {
    for (const turn of inOrder(turns, round)) {
      const isSlow = turn.runs.length > 0 && turn.spentSeconds > patience;
      if (turn.failure === undefined && !isSlow)
        await tryIt(turn, async () => void turn.runs.push(await run(one, turn, turn.messages)));
    }
  }
  for (const turn of turns) effort.say(`${one.id} | ${turn.name} | ${summaryOf(turn)}`);
  return { case: one, load: commandLine(one), rows: turns.map(rowOf) };
}

/** Each round begins with another one. */
function inOrder(turns: readonly Turn[], round: number): readonly Turn[] {
  const first = round % turns.length;
  return [...turns.slice(first), ...turns.slice(0, first)];
}

async function tryIt(turn: Turn, step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    turn.failure = error instanceof Error ? error.message : String(error);
  }
}

/**
 * What it does with a message; what a server of months has behind it (compiled code, processes started, files made);
 * then runs until two of the same speed follow each other.
 */
async function warmUp(one: Case, turn: Turn, { seconds, runs }: Effort): Promise<void> {
  const few = { ...one, clients: Math.min(one.clients, PROBE / 2) };
  turn.copies = await copiesOf(few, turn);
  const rates = [rateOf(await run(few, turn, PROBE))];
  do {
    const left = Math.max(turn.runInSeconds - turn.spentSeconds, 0.5);
    const next = rates.length === 1 ? 0.5 : left;
    rates.push(rateOf(await run(one, turn, messagesFor(rates.at(-1) ?? 0, next, one.clients))));
  } while (turn.spentSeconds < turn.runInSeconds);
  rates.splice(0, rates.length - 1);
  const end = turn.spentSeconds + PATIENCE * seconds * Math.min(2, runs);
  for (let n = 0; n < WARM_UPS && !isSteady(rates, STEADY) && turn.spentSeconds < end; n += 1)
    rates.push(rateOf(await run(one, turn, messagesFor(rates.at(-1) ?? 0, seconds / 2, one.clients))));
  turn.messages = messagesFor(rates.at(-1) ?? 0, seconds, one.clients);
  turn.spentSeconds = 0;
}

/** Messages at the sink for each one sent: some servers split the recipients. */
async function copiesOf(few: Case, turn: Turn): Promise<number> {
  const before = turn.sink.received();
  await send({ ...turn, one: few, port: turn.running.port, messages: PROBE });
  let last = 0;
  for (let now = turn.sink.received(); now > last; now = turn.sink.received()) {
    last = now;
    await delay(300);
  }
  const copies = (last - before) / PROBE;
  if (!Number.isInteger(copies)) throw new Error(`${last - before} messages came of ${PROBE}`);
  return copies;
}

async function run(one: Case, turn: Turn, messages: number): Promise<Run> {
  const { running, sink, copies } = turn;
  const cpuBefore = running.cpuSeconds();
  const began = performance.now();
  const seconds = await send({ one, port: running.port, sink, messages, copies });
  const cpuAfter = running.cpuSeconds();
  turn.spentSeconds += (performance.now() - began) / 1000;
  if (cpuBefore === undefined || cpuAfter === undefined) return { messages, seconds };
  return { messages, seconds, cpuSeconds: cpuAfter - cpuBefore };
}

function rowOf({ name, runs, failure, running }: Turn): Row {
  const pids = running.pids();
  return {
    peer: name,
    runs,
    ...(pids.length === 0 ? {} : { memoryMegabytes: memoryMegabytes(pids) }),
    ...(failure === undefined ? {} : { failure }),
  };
}

function summaryOf({ runs, failure }: Turn): string {
  const rates = runs.map(rateOf).map(Math.round);
  const speed = rates.length === 0 ? [] : [`${Math.round(medianOf(rates))}/s (${rates.join(", ")})`];
  return [...speed, ...(failure === undefined ? [] : [`failed: ${failure}`])].join("; ");
}

function commandLine(one: Case): string {
  const [command, ...args] = sourceCommand(one, "PORT", "COUNT");
  return [basename(command), ...args.map((arg) => basename(arg))].join(" ");
}
