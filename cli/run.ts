/** `postroom run`: the transport in this process, from a folder of manifests. */
import { type Command, Option } from "commander";
import { createLog } from "../lib/log.ts";
import { startTransport } from "../transport/main.ts";
import { UsageError } from "./usage.ts";

interface RunOptions {
  readonly manifests: string;
  readonly state: string;
  readonly transport?: string;
  readonly http?: string;
  readonly selfSigned: boolean;
  readonly logLevel: string;
  readonly logFormat: "auto" | "json" | "text";
  readonly grace: string;
}

/** Signals this close together are one. */
const TWINS_MS = 500;

export function addRun(program: Command): void {
  program
    .command("run")
    .description("Run the transport; follows every change in the folder while it runs")
    .requiredOption("--manifests <dir>", "folder of manifests (YAML or JSON), watched")
    .option("--state <dir>", "folder for queue, tracking log, drop folders", ".state/postroom")
    .option("--transport <name>", "MailTransport to run, when the folder holds several")
    .option("--http <host:port>", "serve /healthz, /readyz and /metrics there")
    .option("--self-signed", "make certificates for TLS Secrets that the folder does not hold", false)
    .option("--grace <seconds>", "at the end, wait this long for open transactions", "10")
    .addOption(new Option("--log-level <level>").choices(["debug", "info", "warn", "error"]).default("info"))
    .addOption(
      new Option("--log-format <format>", "auto: text in a terminal, else JSON")
        .choices(["auto", "json", "text"])
        .default("auto"),
    )
    .action(run);
}

async function run(options: RunOptions): Promise<void> {
  const pretty =
    options.logFormat === "text" || (options.logFormat === "auto" && process.stdout.isTTY === true);
  const log = createLog({ level: options.logLevel, pretty });
  const grace = Number(options.grace);
  if (!Number.isFinite(grace) || grace < 0)
    throw new UsageError(`Cannot read --grace "${options.grace}": write seconds`);
  process.on("uncaughtException", (error) => {
    log.fatal(
      { cause: error.stack ?? String(error) },
      "uncaught exception, the process ends; the queue is on disk",
    );
    process.exit(70);
  });
  const transport = await startTransport({
    source: {
      folder: {
        manifests: options.manifests,
        transportName: options.transport,
        selfSigned: options.selfSigned,
      },
    },
    state: options.state,
    http: options.http === undefined ? undefined : parseHostPort(options.http),
    log,
  }).catch(giveUp);
  for (const { address, port } of transport.bindings()) log.info({ address, port }, "listening");
  let stopping = false;
  let isImpatient = false;
  const stop = (signal: NodeJS.Signals) => {
    // A second signal means: now. npm and a terminal both pass the first one on, so twins of it do not count.
    if (isImpatient) process.exit(130);
    if (stopping) return;
    stopping = true;
    setTimeout(() => {
      isImpatient = true;
    }, TWINS_MS);
    log.info({ signal, graceSeconds: grace }, "stopping");
    void transport.stop(grace * 1000).then(() => {
      log.info("stopped");
      process.exit(0);
    });
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

/** What was opened before the start failed would keep the process alive, with nothing to do. */
function giveUp(cause: unknown): never {
  process.stderr.write(`postroom: ${cause instanceof Error ? cause.message : String(cause)}\n`);
  process.exit(1);
}

/** "127.0.0.1:9090", "[::1]:9090" or ":9090". Throws on anything else. */
export function parseHostPort(text: string): { readonly host: string; readonly port: number } {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]*)):(\d{1,5})$/.exec(text);
  const port = Number(found?.[3]);
  if (found === null || port > 65_535)
    throw new UsageError(`Cannot read "${text}": write host:port such as 127.0.0.1:9090`);
  return { host: found[1] ?? (found[2] || "0.0.0.0"), port };
}
