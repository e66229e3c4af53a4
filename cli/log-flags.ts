/** The log of a process, as its flags want it. */
import { type Command, Option } from "commander";
import { createLog, type Logger } from "../lib/log.ts";

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

export function openLog({ logLevel, logFormat }: LogFlags): Logger {
  const pretty = logFormat === "text" || (logFormat === "auto" && process.stdout.isTTY === true);
  return createLog({ level: logLevel, pretty });
}
