/** A transport as a process: log, fatal faults, signals, the end. Shared by the commands that run one. */
import { type Command, Option } from "commander";
import { createLog, type Logger } from "../lib/log.ts";
import { startTransport, type Transport, type TransportOptions } from "../transport/main.ts";
import { UsageError } from "./usage.ts";

export interface ProcessFlags {
  readonly logLevel: string;
  readonly logFormat: "auto" | "json" | "text";
  readonly grace: string;
}

/** Signals this close together are one. */
const TWINS_MS = 500;

export function addProcessFlags(command: Command): Command {
  return command
    .option("--grace <seconds>", "at the end, wait this long for open transactions", "10")
    .addOption(new Option("--log-level <level>").choices(["debug", "info", "warn", "error"]).default("info"))
    .addOption(
      new Option("--log-format <format>", "auto: text in a terminal, else JSON")
        .choices(["auto", "json", "text"])
        .default("auto"),
    );
}

/** Resolves when it runs; a signal ends it, and the process. */
export async function runTransport(
  flags: ProcessFlags,
  optionsOf: (log: Logger) => Omit<TransportOptions, "log" | "signal">,
): Promise<void> {
  const pretty = flags.logFormat === "text" || (flags.logFormat === "auto" && process.stdout.isTTY === true);
  const log = createLog({ level: flags.logLevel, pretty });
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
  const transport = await startTransport({ ...optionsOf(log), log, signal: ended }).catch((cause: unknown) =>
    ended.aborted ? end() : giveUp(cause),
  );
  if (ended.aborted) return await end(transport);
  for (const { address, port } of transport.bindings()) log.info({ address, port }, "listening");
  ended.addEventListener("abort", () => void end(transport));
}

/** Aborted by the first SIGTERM or SIGINT. A second one means: now. */
function onSignal(first: (signal: NodeJS.Signals) => void): AbortSignal {
  const ending = new AbortController();
  let isImpatient = false;
  const stop = (signal: NodeJS.Signals) => {
    // npm and a terminal both pass the first one on, so twins of it do not count.
    if (isImpatient) process.exit(130);
    if (ending.signal.aborted) return;
    setTimeout(() => {
      isImpatient = true;
    }, TWINS_MS);
    first(signal);
    ending.abort();
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  return ending.signal;
}

/** What was opened before the start failed would keep the process alive, with nothing to do. */
function giveUp(cause: unknown): never {
  process.stderr.write(`postroom: ${cause instanceof Error ? cause.message : String(cause)}\n`);
  process.exit(1);
}
