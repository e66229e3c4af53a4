#!/usr/bin/env node
/** The command line: `postroom <command>`. Exit codes: 0 done, 1 the answer is no, 2 wrong use. */
import { Command, CommanderError } from "commander";
import { UsageError } from "./usage.ts";

/** Loaded when asked for: a transport pod has no use for the operator, nor its memory. */
const COMMANDS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  run: async () => (await import("./run.ts")).addRun,
  transport: async () => (await import("./transport.ts")).addTransport,
  operator: async () => (await import("./operator.ts")).addOperator,
  check: async () => (await import("./check.ts")).addCheck,
  explain: async () => (await import("./explain.ts")).addExplain,
  queue: async () => (await import("./queue.ts")).addQueue,
  trace: async () => (await import("./trace.ts")).addTrace,
  "hash-password": async () => (await import("./hash-password.ts")).addHashPassword,
};

const program = new Command("postroom")
  .description("Mail transport: receive, judge, route and deliver mail as manifests say")
  .showHelpAfterError("(add --help for the ways to use it)")
  .exitOverride();

const [, , asked = ""] = process.argv;
const loaders = Object.hasOwn(COMMANDS, asked) ? [COMMANDS[asked]] : Object.values(COMMANDS);
for (const load of loaders) (await load?.())?.(program);

// A reader that has seen enough (`| head`) is no fault.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

try {
  await program.parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.stderr.write(`postroom: ${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof UsageError) process.stderr.write("(add --help for the ways to use it)\n");
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
