/** The log of a process, as its flags want it. */
import { type Command, Option } from "commander";
import { createLog, type Logger, type LogOptions } from "../lib/log.ts";

export interface LogFlags {
  readonly logLevel: string;
  readonly logFormat: "auto" | "json" | "text";
}

export function addLogFlags(command: Command): Command {
  return command
    .addOption(new Option("--log-level <level>").choices(["debug", "info", "warn", "error"]).default("info"))
    .addOption(
      new Option("--log-format <format>", "auto: text in a terminal, else JSON")
        .choices(["auto", "json", "text"])
        .default("auto"),
    );
}

export function openLog(flags: LogFlags): Logger {
  return createLog(logOptions(flags));
}

/** What another thread of this process logs with. */
export function logOptions({ logLevel, logFormat }: LogFlags): LogOptions {
  const pretty = logFormat === "text" || (logFormat === "auto" && process.stdout.isTTY === true);
  return { level: logLevel, pretty };
}
