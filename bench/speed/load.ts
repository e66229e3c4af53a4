/**
 * One run: so many messages of a case to a port; from the first connection until the sink has the last of them.
 *
 * Without TLS they come from smtp-source (Debian package postfix), else from tls-source.ts.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { guarded } from "../../test/helpers/process-guard.ts";
import type { Case } from "./cases.ts";
import type { Sink } from "./sink.ts";

export interface Load {
  readonly one: Case;
  readonly port: number;
  readonly sink: Sink;
  readonly messages: number;
  /** What reaches the sink for each message sent. */
  readonly copies?: number;
}

const POLL_MS = 5;
/** No message for so long at the sink: the run failed. */
const STALLED_MS = 20_000;

/** Seconds that it took. Rejects with what went wrong; then nothing of it runs any more. */
export async function send({ one, port, sink, messages, copies = 1 }: Load): Promise<number> {
  const goal = sink.received() + messages * copies;
  const began = performance.now();
  const source = guarded(spawnSource(one, port, messages));
  const end = endOf(source);
  try {
    await arrival(sink, goal, end.failure);
    const seconds = (performance.now() - began) / 1000;
    await Promise.race([end.over, delay(2_000)]);
    return seconds;
  } finally {
    source.kill("SIGKILL");
    await end.over;
  }
}

/** The command that sends; with PORT and COUNT as they stand in a report. */
export function sourceCommand(
  one: Case,
  port: number | "PORT",
  messages: number | "COUNT",
): readonly [string, ...string[]] {
  const { clients, size, recipients, kept } = one;
  const counts = [clients, messages, size, recipients].map(String);
  if (one.tls) {
    const program = join(import.meta.dirname, "tls-source.ts");
    return [process.execPath, program, String(port), ...counts, kept ? "kept" : "one"];
  }
  const many = recipients > 1 ? ["-r", String(recipients)] : [];
  const load = ["-s", String(clients), "-m", String(messages), "-l", String(size), ...many];
  const envelope = ["-f", "load@source.example", "-t", "ann@contoso.example"];
  return ["smtp-source", ...(kept ? ["-d"] : []), ...load, ...envelope, `inet:127.0.0.1:${port}`];
}

function spawnSource(one: Case, port: number, messages: number): ChildProcess {
  const [command, ...args] = sourceCommand(one, port, messages);
  return spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
}

interface End {
  readonly over: Promise<void>;
  /** Why it ended, if not well. */
  failure(): string | undefined;
}

function endOf(source: ChildProcess): End {
  let said = "";
  let failure: string | undefined;
  source.stderr?.on("data", (chunk: Buffer) => {
    said = `${said}${chunk}`.slice(-500);
  });
  const over = new Promise<void>((resolve) => {
    source.once("error", (error) => {
      failure = error.message;
      resolve();
    });
    source.once("close", (code) => {
      if (code !== 0) failure = said.trim().split("\n").at(-1) || `the load ended with ${code}`;
      resolve();
    });
  });
  return { over, failure: () => failure };
}

async function arrival(sink: Sink, goal: number, failure: () => string | undefined): Promise<void> {
  let last = sink.received();
  let lastAt = performance.now();
  while (last < goal) {
    await delay(POLL_MS);
    const now = sink.received();
    if (now > last) lastAt = performance.now();
    last = now;
    const why = failure();
    if (why !== undefined) throw new Error(why);
    if (performance.now() - lastAt > STALLED_MS)
      throw new Error(`stalled: ${goal - last} messages did not come within ${STALLED_MS / 1000} s`);
  }
}
