/**
 * Haraka as a peer: the npm package in a temporary folder that later runs find again, on this Node. Mail goes through its
 * outbound queue (a file a message, renamed before the 250), not through queue/smtp_forward, which keeps nothing.
 * Its stream flushes in `close()`, which Node calls no more; what is measured is as it comes.
 */
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../test/helpers/free-port.ts";
import { guarded, guardFolder } from "../../test/helpers/process-guard.ts";
import { run } from "../../test/helpers/run.ts";
import { type Folder, greeted, temporaryFolder } from "../processes.ts";
import { cpuGroup } from "./cpu-group.ts";
import type { Peer, PeerOptions, RunningPeer } from "./peer.ts";
import { processesOf } from "./processes-of.ts";
import { PEERS_FOLDER } from "./unpacked.ts";

const VERSION = "3.1.6";
const HOME = join(PEERS_FOLDER, `haraka-${VERSION}`);
const PROGRAM = join(HOME, "node_modules/Haraka");
/** Of packages that it uses for rare encodings: any later one will do. */
const MANIFEST = {
  private: true,
  dependencies: { Haraka: VERSION },
  overrides: { "encoding-japanese": "^2.2.0", libqp: "^2.0.0" },
};

export function haraka(): Peer {
  return {
    name: "Haraka",
    durability: "the queue file is written and renamed, not flushed: this Node never calls its fsync",
    compiles: true,
    isThere: installed,
    version: async () => `Haraka ${VERSION}`,
    start,
  };
}

async function installed(): Promise<string | undefined> {
  if (existsSync(join(HOME, "whole"))) return undefined;
  mkdirSync(HOME, { recursive: true });
  writeFileSync(join(HOME, "package.json"), JSON.stringify(MANIFEST));
  const args = [
    "install",
    "--prefix",
    HOME,
    "--omit=optional",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
  ];
  const { status, output } = await run("npm", args, { timeoutMs: 180_000 });
  const reason = output.split("\n").find((line) => line.startsWith("npm error") && !line.includes("code"));
  if (status !== 0) return `cannot be installed: ${reason ?? "npm took too long"}`;
  writeFileSync(join(HOME, "whole"), "");
  return undefined;
}

async function start(options: PeerOptions): Promise<RunningPeer> {
  const port = await freePort();
  const folder = temporaryFolder();
  guardFolder(folder.path);
  configure(folder, port, options);
  const args = [join(PROGRAM, "bin/haraka"), "-c", folder.path];
  const child = guarded(
    spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], cwd: folder.path }),
  );
  const group = cpuGroup();
  if (child.pid !== undefined) group.add([child.pid]);
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      said = `${said}${chunk}`.slice(-2_000);
    });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
    group.remove();
    folder.remove();
  };
  await greeted(port).catch(async (cause: unknown) => {
    await stop();
    throw new Error(`Haraka does not greet: ${said}`, { cause });
  });
  return { port, pids: () => processesOf(child.pid ?? 0), cpuSeconds: group.seconds, stop };
}

/** One process, as many deliveries at once as the others, no plugins but those that let everything through to one host. */
function configure(folder: Folder, port: number, options: PeerOptions): void {
  const { nextHopPort, tls, nextHopTls = false } = options;
  const config = join(PROGRAM, "config");
  mkdirSync(join(folder.path, "queue"));
  mkdirSync(join(folder.path, "config"));
  for (const name of readdirSync(config).filter((one) => one.endsWith(".ini")))
    copyFileSync(join(config, name), join(folder.path, "config", name));
  folder.write("config/smtp.ini", `listen=127.0.0.1:${port}\nnodes=0\n`);
  folder.write("config/me", "haraka.peer.example\n");
  folder.write("config/log.ini", "[main]\nlevel=WARN\nformat=DEFAULT\n");
  folder.write("config/outbound.ini", `concurrency_max=50\nenable_tls=${nextHopTls}\nlocal_mx_ok=true\n`);
  folder.write("config/plugins", `${tls === undefined ? "" : "tls\n"}everything_to_one_host\n`);
  folder.write("plugins/everything_to_one_host.js", plugin(nextHopPort));
  if (tls !== undefined || nextHopTls)
    folder.write("config/tls.ini", "[outbound]\nrejectUnauthorized=false\n");
  if (tls !== undefined) {
    folder.write("config/tls_cert.pem", readFileSync(tls.cert, "utf8"));
    folder.write("config/tls_key.pem", readFileSync(tls.key, "utf8"));
  }
}

function plugin(nextHopPort: number): string {
  return `
exports.hook_connect_init = (next, connection) => { connection.relaying = true; next(); };
exports.hook_rcpt = (next) => next(OK);
exports.hook_get_mx = (next) => next(OK, { priority: 0, exchange: "127.0.0.1", port: ${nextHopPort} });
`;
}
