#!/usr/bin/env node
/** The command line: `postroom <command>`. Exit codes: 0 done, 1 the answer is no, 2 wrong use. */
import { Command, CommanderError } from "commander";
import { addCheck } from "./check.ts";
import { addExplain } from "./explain.ts";
import { addHashPassword } from "./hash-password.ts";
import { addOperator } from "./operator.ts";
import { addQueue } from "./queue.ts";
import { addRun } from "./run.ts";
import { addTrace } from "./trace.ts";
import { addTransport } from "./transport.ts";
import { UsageError } from "./usage.ts";

const program = new Command("postroom")
  .description("Mail transport: receive, judge, route and deliver mail as manifests say")
  .showHelpAfterError("(add --help for the ways to use it)")
  .exitOverride();

addRun(program);
addTransport(program);
addCheck(program);
addExplain(program);
addQueue(program);
addTrace(program);
addOperator(program);
addHashPassword(program);

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
