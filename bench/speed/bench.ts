/**
 * The whole bench: starts who takes part, measures case after case, stops all. What fails is a row or a sentence of the
 * result, not an end.
 */
import { chmodSync } from "node:fs";
import { makeCertificate } from "../../lib/certificate.ts";
import { guardFolder } from "../../test/helpers/process-guard.ts";
import { run } from "../../test/helpers/run.ts";
import { temporaryFolder } from "../processes.ts";
import type { Case } from "./cases.ts";
import { thisMachine } from "./machine.ts";
import { type Effort, type Entrant, measureCase } from "./measure.ts";
import type { CertificateFiles } from "./peer.ts";
import type { Participant } from "./peers.ts";
import type { CaseResult, PeerFacts, SpeedResult } from "./result.ts";
import { startSink } from "./sink.ts";

export interface Bench {
  readonly cases: readonly Case[];
  readonly participants: readonly Participant[];
  readonly effort: Omit<Effort, "seconds">;
  /** About, for each run of the case. */
  secondsOf(one: Case): number;
  /** As it was called. */
  readonly command: string;
}

/** Load before the runs that count; in a trial with short runs, at most so many times a run. */
const RUN_IN_SECONDS = {
  compiling: { first: 30, further: 10 },
  compiled: { first: 6, further: 2 },
} as const;
const RUN_IN_SHARE = 20;

/** Why there can be no bench at all. */
export async function benchObstacle(): Promise<string | undefined> {
  const { status } = await run("sh", ["-c", "command -v smtp-source && command -v smtp-sink"]);
  return status === 0 ? undefined : "smtp-source and smtp-sink are missing (Debian package postfix)";
}

export async function runBench({
  cases,
  participants,
  effort,
  secondsOf,
  command,
}: Bench): Promise<SpeedResult> {
  const machine = thisMachine();
  const date = new Date().toISOString();
  const began = performance.now();
  const skipped: string[] = [];
  const skip = (line: string) => {
    skipped.push(line);
    effort.say(`SKIPPED: ${line}`);
  };
  const present = await presentOf(participants, skip);
  const results: CaseResult[] = [];
  for (const withTls of [false, true]) {
    const some = cases.filter(({ tls }) => tls === withTls);
    if (some.length > 0)
      results.push(...(await measureGroup(some, present, { effort, secondsOf, skip, withTls })));
  }
  const minutes = Math.round((performance.now() - began) / 6_000) / 10;
  const peers = await Promise.all(present.map(factsOf));
  return { date, minutes, command, machine, peers, skipped, cases: results };
}

async function presentOf(
  participants: readonly Participant[],
  skip: (line: string) => void,
): Promise<readonly Participant[]> {
  const present: Participant[] = [];
  for (const one of participants) {
    const reason = await one.peer.isThere();
    if (reason === undefined) present.push(one);
    else skip(`peer ${one.peer.name}: ${reason}`);
  }
  return present;
}

async function factsOf({ kind, peer }: Participant): Promise<PeerFacts> {
  return { name: peer.name, kind, version: await peer.version(), durability: peer.durability };
}

interface GroupOptions extends Pick<Bench, "effort" | "secondsOf"> {
  readonly withTls: boolean;
  skip(line: string): void;
}

/** The peers stay between cases; one that failed is started anew. */
async function measureGroup(
  cases: readonly Case[],
  participants: readonly Participant[],
  { effort: ofAll, secondsOf, skip, withTls }: GroupOptions,
): Promise<CaseResult[]> {
  const tls = withTls ? await certificate() : undefined;
  const entrants = new Map<Participant, Entrant>();
  const results: CaseResult[] = [];
  try {
    for (const one of cases) {
      const effort = { ...ofAll, seconds: secondsOf(one) };
      const known = new Set(entrants.keys());
      for (const participant of participants.filter((each) => !known.has(each))) {
        const entrant = await enter(participant, tls?.files).catch((error: unknown) =>
          skip(`peer ${participant.peer.name} in case ${one.id}: ${messageOf(error)}`),
        );
        if (entrant) entrants.set(participant, entrant);
      }
      const present = participants.flatMap((each) => {
        const entrant = entrants.get(each);
        return entrant ? [{ ...entrant, runInSeconds: runInOf(each, known.has(each), effort) }] : [];
      });
      const result = await measureCase(one, present, effort);
      results.push(result);
      for (const [participant, entrant] of [...entrants]) {
        if (result.rows.find(({ peer }) => peer === entrant.name)?.failure === undefined) continue;
        entrants.delete(participant);
        await leave(entrant);
      }
    }
  } finally {
    for (const entrant of entrants.values()) await leave(entrant);
    tls?.remove();
  }
  return results;
}

function runInOf({ peer }: Participant, isKnown: boolean, { seconds }: Effort): number {
  const { first, further } = RUN_IN_SECONDS[peer.compiles ? "compiling" : "compiled"];
  return Math.min(isKnown ? further : first, RUN_IN_SHARE * seconds);
}

async function enter({ peer }: Participant, tls: CertificateFiles | undefined): Promise<Entrant> {
  const sink = await startSink(tls);
  try {
    const options = { nextHopPort: sink.port, ...(tls === undefined ? {} : { tls, nextHopTls: true }) };
    return { name: peer.name, sink, running: await peer.start(options) };
  } catch (error) {
    await sink.stop();
    throw error;
  }
}

async function leave({ running, sink }: Entrant): Promise<void> {
  await running.stop();
  await sink.stop();
}

async function certificate(): Promise<{ readonly files: CertificateFiles; remove(): void }> {
  const folder = temporaryFolder();
  guardFolder(folder.path);
  chmodSync(folder.path, 0o755);
  const { cert, key } = await makeCertificate({ names: ["peer.example"], days: 10 });
  const files = { cert: folder.write("cert.pem", cert), key: folder.write("key.pem", key) };
  return { files, remove: folder.remove };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
