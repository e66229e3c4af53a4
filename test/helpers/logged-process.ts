/** A Node program of ours as a process: what it logged, its memory, its end. It ends with this process at the latest. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { guarded } from "./process-guard.ts";

/** A line of JSON; a line that is none is its msg. */
export interface LogLine {
  readonly level?: number | string;
  readonly msg?: string;
  readonly [field: string]: unknown;
}

export interface LoggedProcess {
  readonly pid: number;
  /** stdout and stderr so far, in order. */
  readonly lines: readonly LogLine[];
  readonly hasEnded: boolean;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Resident set in octets; 0: it has ended. */
  rss(): number;
  /** Resolves when it has ended: SIGKILL follows after `graceMs`. */
  kill(signal?: NodeJS.Signals, graceMs?: number): Promise<number | NodeJS.Signals>;
  /** For a message of a failed test. */
  tail(lines?: number): string;
}

export interface ProcessOptions {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const GRACE_MS = 30_000;

export function startLogged({ args, env = {} }: ProcessOptions): LoggedProcess {
  const child = guarded(
    spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } }),
  );
  const lines: LogLine[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => lines.push(read(line)));
  }
  let hasEnded = false;
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once("error", () => resolve(127));
    child.once("exit", (code, signal) => resolve(code ?? signal ?? 127));
  }).finally(() => {
    hasEnded = true;
  });
  return {
    pid: child.pid ?? 0,
    lines,
    ended,
    get hasEnded() {
      return hasEnded;
    },
    rss: () => residentOctets(child.pid),
    async kill(signal = "SIGTERM", graceMs = GRACE_MS) {
      child.kill(signal);
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
      const outcome = await ended;
      clearTimeout(timer);
      return outcome;
    },
    tail: (count = 20) =>
      lines
        .slice(-count)
        .map((line) => JSON.stringify(line))
        .join("\n"),
  };
}

function read(line: string): LogLine {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) return value as LogLine;
  } catch {}
  return { msg: line };
}

function residentOctets(pid: number | undefined): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
