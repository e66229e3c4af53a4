/** Exim as a peer: Debian's exim4-daemon-light, unpacked; everything goes to one smarthost at once. */
import { freePort } from "../../test/helpers/free-port.ts";
import { namespaceObstacle, startNamespaced } from "./namespace.ts";
import type { Peer, PeerOptions } from "./peer.ts";
import { unpacked } from "./unpacked.ts";

const packages = unpacked(
  "exim",
  ["exim4-daemon-light", "exim4-base", "libidn12", "libgnutls-dane0", "libunbound8"],
  "usr/sbin/exim4",
);
const USER = { name: "Debian-exim", id: 60_972 };

export function exim(): Peer {
  return {
    name: "Exim",
    durability: "fsync of the data file, of the header file and of their folder",
    isThere: async () => (await packages.obstacle()) ?? (await namespaceObstacle()),
    version: async () => `Exim ${await packages.version()}`,
    async start(options) {
      const port = await freePort();
      return startNamespaced({
        packages: packages.folder,
        port,
        users: [USER],
        etc: { "exim4/exim4.conf": configuration(port, options) },
        prepare: `mkdir "$FOLDER/queue"; chmod 755 "$FOLDER"; chown ${USER.id}:${USER.id} "$FOLDER/queue"`,
        command: "exim4 -bdf -q1m",
      });
    },
  };
}

/** No look-ups, no limits on clients or connections, queue folders split, each message delivered when it is there. */
function configuration(port: number, { nextHopPort, tls, nextHopTls = false }: PeerOptions): string {
  return `
primary_hostname = exim.peer.example
spool_directory = $FOLDER/queue
log_file_path = $FOLDER/queue/%slog
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${port}
disable_ipv6 = true
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 0
smtp_accept_queue = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 4096
smtp_enforce_sync = false
split_spool_directory = true
remote_max_parallel = 50
queue_run_max = 50
keep_environment =
tls_advertise_hosts = ${tls === undefined ? "" : "*"}
${tls === undefined ? "" : `tls_certificate = ${tls.cert}\ntls_privatekey = ${tls.key}`}
acl_smtp_rcpt = accept
acl_smtp_data = accept
begin acl
begin routers
hub:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = out
begin transports
out:
  driver = smtp
  port = ${nextHopPort}
  hosts_try_dane =
  dnssec_request_domains =
  ${nextHopTls ? "hosts_require_tls = *" : "hosts_avoid_tls = *"}
begin retry
* * F,2h,1m
`;
}
