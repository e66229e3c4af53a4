/** One program of the control plane as a process: its log in a file, its end by its own pid. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { guarded } from "./process-guard.ts";

export interface ControlPlaneProgram {
  readonly hasEnded: boolean;
  /** What it wrote since this start and before: the file goes on after a restart. */
  log(): string;
  logTail(lines?: number): string;
  /** SIGKILL follows when SIGTERM brings nothing for 10 s. */
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
}

const GRACE_MS = 10_000;

export function startProgram(path: string, args: readonly string[], logPath: string): ControlPlaneProgram {
  const out = openSync(logPath, "a");
  const child = guarded(spawn(path, args, { stdio: ["ignore", out, out] }));
  closeSync(out);
  let hasEnded = false;
  const ended = Promise.race([once(child, "exit"), once(child, "error")]).then(() => {
    hasEnded = true;
  });
  const log = () => readFileSync(logPath, "utf8");
  return {
    get hasEnded() {
      return hasEnded;
    },
    log,
    logTail: (lines = 30) => log().trimEnd().split("\n").slice(-lines).join("\n"),
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}
