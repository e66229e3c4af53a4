/** Runs a program to its end without blocking this process: what it printed, and how it ended. Killed when it takes too long. */
import { spawn } from "node:child_process";

export interface Run {
  /** null: killed. */
  readonly status: number | null;
  /** stdout and stderr as they came. */
  readonly output: string;
}

export interface RunOptions {
  /** Written to stdin, which is then closed. */
  readonly input?: string | Uint8Array;
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Debian keeps servers in sbin, which users do not always have on their path. */
const PATH = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;

export async function run(
  command: string,
  args: readonly string[],
  { input = "", timeoutMs = 120_000, env = {} }: RunOptions = {},
): Promise<Run> {
  const child = spawn(command, args, { env: { ...process.env, PATH, ...env } });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    // A child of the child may still hold them.
    child.stdout.destroy();
    child.stderr.destroy();
  }, timeoutMs);
  const status = await new Promise<number | null>((resolve) => {
    child.once("error", () => resolve(127));
    child.once("close", resolve);
  });
  clearTimeout(timer);
  return { status, output: Buffer.concat(chunks).toString() };
}
