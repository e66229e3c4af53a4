/**
 * Postfix as a peer: an instance of its own in a temporary folder, relaying everything to one next hop.
 *
 *   const postfix = await startPostfix({ nextHopPort: sink.port, settings: ["smtp_tls_security_level = encrypt"] });
 *   ... send to 127.0.0.1:postfix.port ...
 *   await postfix.stop();
 *
 * Needs root and the Debian package (debian.ts).
 *
 * @module
 */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { greeted, temporaryFolder } from "../../bench/processes.ts";
import { freePort } from "./free-port.ts";
import { guard } from "./guard.ts";
import { run } from "./run.ts";

export interface PostfixOptions {
  /** Left out: any free one. */
  readonly port?: number;
  readonly nextHopPort: number;
  /** Further lines of main.cf; the last of two for one parameter wins. */
  readonly settings?: readonly string[];
}

export interface Postfix {
  readonly port: number;
  /** Of its master: all other processes stem from it. */
  pid(): number;
  /** What it logged so far. */
  log(): string;
  /** Ends its processes and removes its folder. */
  stop(): Promise<void>;
}

export function postfixIsThere(): boolean {
  return process.getuid?.() === 0 && spawnSync("postconf", ["mail_version"]).status === 0;
}

/**
 * Tuned for relaying on one machine: processes for every client and used again, no DNS, no flow delay, kept connections
 * out, as many deliveries at once as pay on a few cores, addresses and MIME left alone. `bench/speed/tune-postfix.ts`
 * measures each against what else it could be. Files are flushed as always.
 */
export const TUNED = [
  "default_process_limit = 600",
  "max_use = 10000",
  "in_flow_delay = 0",
  "smtp_destination_concurrency_limit = 10",
  "initial_destination_concurrency = 10",
  "smtp_connection_cache_destinations = static:all",
  "smtp_connection_reuse_count_limit = 1000",
  "connection_cache_ttl_limit = 60s",
  "smtp_connection_cache_time_limit = 30s",
  "qmgr_message_active_limit = 40000",
  "qmgr_message_recipient_limit = 100000",
  "smtpd_peername_lookup = no",
  "smtpd_client_event_limit_exceptions = static:all",
  "disable_dns_lookups = yes",
  "smtp_tls_security_level = none",
  "receive_override_options = no_address_mappings, no_header_body_checks, no_unknown_recipient_checks",
  "local_header_rewrite_clients =",
  "append_dot_mydomain = no",
  "swap_bangpath = no",
  "allow_percent_hack = no",
  "disable_mime_input_processing = yes",
  "disable_mime_output_conversion = yes",
];

/** Resolves once it greets; leaves nothing behind when it does not. */
export async function startPostfix({
  port: wanted,
  nextHopPort,
  settings = [],
}: PostfixOptions): Promise<Postfix> {
  const port = wanted ?? (await freePort());
  const folder = temporaryFolder();
  chmodSync(folder.path, 0o755);
  const etc = join(folder.path, "etc");
  for (const name of ["etc", "queue", "data"]) mkdirSync(join(folder.path, name), { recursive: true });
  execFileSync("chown", ["postfix", join(folder.path, "data")]);
  folder.write("etc/main.cf", mainCf(folder.path, nextHopPort, settings));
  folder.write("etc/master.cf", MASTER.replace("PORT", String(port)));
  const log = () => readOr(join(folder.path, "queue/maillog"), "");
  const pidFile = join(folder.path, "queue/pid/master.pid");
  const stop = guard({ pidFile, folder: folder.path });
  const { output } = await run("postfix", ["-c", etc, "start"]);
  await greeted(port).catch(async (cause: unknown) => {
    const said = `${output}${log()}`;
    await stop();
    throw new Error(`Postfix does not greet: ${said}`, { cause });
  });
  const pid = () => Number(readFileSync(pidFile, "utf8"));
  return { port, pid, log, stop };
}

function mainCf(folder: string, nextHopPort: number, settings: readonly string[]): string {
  return [
    "compatibility_level = 3.6",
    `queue_directory = ${folder}/queue`,
    `data_directory = ${folder}/data`,
    "command_directory = /usr/sbin",
    "daemon_directory = /usr/lib/postfix/sbin",
    "mail_owner = postfix",
    "setgid_group = postdrop",
    "inet_interfaces = 127.0.0.1",
    "inet_protocols = ipv4",
    "myhostname = postfix.peer.example",
    "mydestination =",
    "mynetworks = 127.0.0.0/8",
    "alias_maps =",
    "local_recipient_maps =",
    `relayhost = [127.0.0.1]:${nextHopPort}`,
    "smtpd_relay_restrictions = permit_mynetworks, reject",
    "smtpd_client_connection_count_limit = 0",
    "smtpd_client_connection_rate_limit = 0",
    `maillog_file = ${folder}/queue/maillog`,
    `maillog_file_prefixes = ${folder}`,
    ...settings,
    "",
  ].join("\n");
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return otherwise;
  }
}

const MASTER = `
127.0.0.1:PORT inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
tlsproxy unix - - n - 0 tlsproxy
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`;
