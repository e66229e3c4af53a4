/** `postroom check`: the verdict of the transport and the operator on manifests, offline. Exit 1 when there is a fault. */
import { type Command, Option } from "commander";
import { formatFault } from "../crds/mod.ts";
import { systemClock } from "../lib/clock.ts";
import { checkManifests } from "../snapshot/mod.ts";
import { readManifestFiles } from "./files.ts";
import type { OutputFormat } from "./table.ts";

export function addCheck(program: Command): void {
  program
    .command("check")
    .description("Validate manifests; every fault as `file:line field: reason`")
    .argument("<path...>", "files or folders")
    .addOption(
      new Option("-o, --output <format>", "output format").choices(["table", "json"]).default("table"),
    )
    .action(check);
}

async function check(paths: readonly string[], { output }: { readonly output: OutputFormat }): Promise<void> {
  const files = await readManifestFiles(paths);
  const { faults, warnings } = checkManifests(files, systemClock.now());
  if (output === "json") {
    process.stdout.write(`${JSON.stringify({ faults, warnings }, null, 2)}\n`);
  } else {
    for (const fault of faults) process.stdout.write(`${formatFault(fault)}\n`);
    for (const warning of warnings) process.stdout.write(`${formatFault(warning)} (warning)\n`);
    process.stdout.write(`${files.length} files, ${faults.length} faults, ${warnings.length} warnings\n`);
  }
  if (faults.length > 0) process.exitCode = 1;
}
