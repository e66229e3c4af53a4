/** A transport as a process: log, fatal faults, signals, the end. Shared by the commands that run one. */
import { setFlagsFromString } from "node:v8";
import type { Command } from "commander";
import type { Logger } from "../lib/log.ts";
import { startTransport, type Transport, type TransportOptions } from "../transport/main.ts";
import { addLogFlags, type LogFlags, logOptions, openLog } from "./log-flags.ts";
import { onSignal } from "./signals.ts";
import { parseCount, UsageError } from "./usage.ts";

export interface ProcessFlags extends LogFlags {
  readonly grace: string;
  readonly workers: string;
}

const MAX_WORKERS = 64;
/** Of libuv, for files and names: all threads of a process share them. */
const FILE_THREADS = 4;
/** A heap may double before all of it is marked again (docs/decisions/0122). */
const HEAP_GROWTH = "--heap-growing-percent=100";

export function addProcessFlags(command: Command): Command {
  return addLogFlags(
    command
      .option("--grace <seconds>", "at the end, wait this long for open transactions", "10")
      .option(
        "--workers <n>",
        "threads that take and deliver mail, each with a queue of its own; one for each core at most (POSTROOM_WORKERS)",
        process.env.POSTROOM_WORKERS || "1",
      ),
  );
}

/** Resolves when it runs; a signal ends it, and the process. */
export async function runTransport(
  flags: ProcessFlags,
  optionsOf: (log: Logger) => Omit<TransportOptions, "log" | "signal" | "workers" | "threadLog">,
): Promise<void> {
  const log = openLog(flags);
  const workers = parseCount(flags.workers, "--workers");
  if (workers > MAX_WORKERS)
    throw new UsageError(`Cannot run ${workers} workers: ${MAX_WORKERS} are the most`);
  setFlagsFromString(HEAP_GROWTH);
  // Before the first of them is needed; then it is too late.
  if (workers > 1) process.env.UV_THREADPOOL_SIZE ??= String(FILE_THREADS * workers);
  const grace = Number(flags.grace);
  if (!Number.isFinite(grace) || grace < 0)
    throw new UsageError(`Cannot read --grace "${flags.grace}": write seconds`);
  process.on("uncaughtException", (error) => {
    log.fatal(
      { cause: error.stack ?? String(error) },
      "uncaught exception, the process ends; the queue is on disk",
    );
    process.exit(70);
  });
  const ended = onSignal((signal) => log.info({ signal, graceSeconds: grace }, "stopping"));
  const end = async (transport?: Transport) => {
    await transport?.stop(grace * 1000);
    log.info("stopped");
    process.exit(0);
  };
  const transport = await startTransport({
    ...optionsOf(log),
    ...{ log, workers, threadLog: logOptions(flags), signal: ended },
  }).catch((cause: unknown) => (ended.aborted ? end() : giveUp(cause)));
  if (ended.aborted) return await end(transport);
  for (const { address, port } of transport.bindings()) log.info({ address, port }, "listening");
  ended.addEventListener("abort", () => void end(transport));
}

/** What was opened before the start failed would keep the process alive, with nothing to do. */
function giveUp(cause: unknown): never {
  process.stderr.write(`postroom: ${cause instanceof Error ? cause.message : String(cause)}\n`);
  process.exit(1);
}
