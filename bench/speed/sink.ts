/**
 * The next hop of a peer: takes everything, forgets it, and counts. It lives as long as the peer, so that connections
 * which the peer keeps stay open between runs.
 *
 * Without TLS smtp-sink (Debian package postfix), else tls-sink.ts. Both write their counters into a file in memory,
 * which is read when somebody asks: nobody is woken for a message.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, fstatSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../test/helpers/free-port.ts";
import { guarded } from "../../test/helpers/process-guard.ts";
import { greeted } from "../processes.ts";
import type { CertificateFiles } from "./peer.ts";

export interface Sink {
  readonly port: number;
  /** Messages so far. */
  received(): number;
  stop(): Promise<void>;
}

/** With a certificate it offers STARTTLS. */
export async function startSink(tls?: CertificateFiles): Promise<Sink> {
  const port = await freePort();
  const counters = join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), `postroom-bench-sink-${port}`);
  const output = openSync(counters, "w+");
  rmSync(counters);
  const child = guarded(start(port, output, tls));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await greeted(port);
  return {
    port,
    received: () => lastCount(output),
    async stop() {
      child.kill("SIGKILL");
      await ended;
      closeSync(output);
    },
  };
}

function start(port: number, output: number, tls: CertificateFiles | undefined): ChildProcess {
  const stdio = ["ignore" as const, output, "inherit" as const];
  if (tls !== undefined) {
    const program = join(import.meta.dirname, "tls-sink.ts");
    return spawn(process.execPath, [program, String(port), tls.cert, tls.key], { stdio });
  }
  // As root smtp-sink wants to know whom to become.
  const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  return spawn("smtp-sink", ["-c", ...user, "-m", "2000", `127.0.0.1:${port}`, "1000"], { stdio });
}

const TAIL = Buffer.alloc(256);

function lastCount(file: number): number {
  const { size } = fstatSync(file);
  const octets = readSync(file, TAIL, 0, TAIL.length, Math.max(0, size - TAIL.length));
  const counts = TAIL.toString("latin1", 0, octets).match(/mesg=\d+(?=\r)/g);
  return Number(counts?.at(-1)?.slice("mesg=".length) ?? 0);
}
