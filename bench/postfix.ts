/** Postfix as a peer: an instance of its own in a temporary folder, relaying everything to one next hop. Needs root and the Debian package. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { greeted, temporaryFolder } from "./processes.ts";

export interface PostfixOptions {
  readonly port: number;
  readonly nextHopPort: number;
  /** Further lines of main.cf. */
  readonly settings?: readonly string[];
}

export function postfixIsThere(): boolean {
  return process.getuid?.() === 0 && spawnSync("postconf", ["mail_version"]).status === 0;
}

/** Tuned for relaying on one machine: more processes, no DNS, kept connections out, no flow delay. */
export const TUNED = [
  "default_process_limit = 200",
  "in_flow_delay = 0",
  "smtp_destination_concurrency_limit = 50",
  "initial_destination_concurrency = 50",
  "smtp_connection_cache_destinations = static:all",
  "smtp_connection_reuse_count_limit = 1000",
  "qmgr_message_active_limit = 40000",
  "smtpd_peername_lookup = no",
  "disable_dns_lookups = yes",
  "smtp_tls_security_level = none",
];

/** Starts it; the result stops it and removes everything. */
export async function startPostfix({
  port,
  nextHopPort,
  settings = [],
}: PostfixOptions): Promise<() => void> {
  const folder = temporaryFolder();
  chmodSync(folder.path, 0o755);
  const etc = join(folder.path, "etc");
  for (const name of ["etc", "queue", "data"]) mkdirSync(join(folder.path, name), { recursive: true });
  execFileSync("chown", ["postfix", join(folder.path, "data")]);
  folder.write(
    "etc/main.cf",
    [
      "compatibility_level = 3.6",
      `queue_directory = ${folder.path}/queue`,
      `data_directory = ${folder.path}/data`,
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
      `maillog_file = ${folder.path}/queue/maillog`,
      `maillog_file_prefixes = ${folder.path}`,
      ...settings,
      "",
    ].join("\n"),
  );
  folder.write("etc/master.cf", MASTER.replace("PORT", String(port)));
  execFileSync("postfix", ["-c", etc, "start"], { stdio: "ignore" });
  await greeted(port);
  return () => {
    spawnSync("postfix", ["-c", etc, "stop"], { stdio: "ignore" });
    folder.remove();
  };
}

const MASTER = `
127.0.0.1:PORT inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
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
