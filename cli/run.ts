/** `postroom run`: the transport in this process, from a folder of manifests. */
import type { Command } from "commander";
import { parseHostPort } from "./host-port.ts";
import { addProcessFlags, type ProcessFlags, runTransport } from "./process.ts";

interface RunOptions extends ProcessFlags {
  readonly manifests: string;
  readonly state: string;
  readonly transport?: string;
  readonly http?: string;
  readonly selfSigned: boolean;
}

export function addRun(program: Command): void {
  const command = program
    .command("run")
    .description("Run the transport; follows every change in the folder while it runs")
    .requiredOption("--manifests <dir>", "folder of manifests (YAML or JSON), watched")
    .option("--state <dir>", "folder for queue, tracking log, drop folders", ".state/postroom")
    .option("--transport <name>", "MailTransport to run, when the folder holds several")
    .option("--http <host:port>", "serve /healthz, /readyz and /metrics there")
    .option("--self-signed", "make certificates for TLS Secrets that the folder does not hold", false);
  addProcessFlags(command).action(run);
}

function run(options: RunOptions): Promise<void> {
  const { manifests, transport: transportName, selfSigned, state } = options;
  const http = options.http === undefined ? undefined : parseHostPort(options.http);
  return runTransport(options, () => ({
    source: { folder: { manifests, transportName, selfSigned } },
    ...{ state, http },
  }));
}
