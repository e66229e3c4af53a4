/** OpenSMTPD as a peer: Debian's package, unpacked; everything goes to one relay. */
import { freePort } from "../../test/helpers/free-port.ts";
import { namespaceObstacle, startNamespaced } from "./namespace.ts";
import type { Peer, PeerOptions } from "./peer.ts";
import { unpacked } from "./unpacked.ts";

const packages = unpacked("opensmtpd", ["opensmtpd"], "usr/sbin/smtpd");
const USERS = [
  { name: "opensmtpd", id: 60_970 },
  { name: "opensmtpq", id: 60_971 },
];

export function openSmtpd(): Peer {
  return {
    name: "OpenSMTPD",
    durability: "the queue's files are written and renamed, not flushed",
    isThere: async () => (await packages.obstacle()) ?? (await namespaceObstacle()),
    version: async () => `OpenSMTPD ${await packages.version()}`,
    async start(options) {
      const port = await freePort();
      return startNamespaced({
        packages: packages.folder,
        port,
        users: USERS,
        etc: { "smtpd.conf": configuration(port, options) },
        // The queue's path and that of its prison are compiled in; it wants a key that nobody else can read.
        prepare: `
mkdir -p "$FOLDER/queue" /var/lib/opensmtpd/empty /var/spool/smtpd
chmod 711 "$FOLDER/queue"
mount --bind "$FOLDER/queue" /var/spool/smtpd
${options.tls === undefined ? "" : `install -m 600 "${options.tls.key}" "$FOLDER/key.pem"`}`,
        command: "smtpd -d -F",
      });
    },
  };
}

/** Wider than the defaults wherever there is a limit. */
function configuration(port: number, { nextHopPort, tls, nextHopTls = false }: PeerOptions): string {
  const listener = `listen on 127.0.0.1 port ${port}${tls === undefined ? "" : " tls pki peer"} hostname opensmtpd.peer.example`;
  const relay = `${nextHopTls ? "smtp+tls" : "smtp"}://127.0.0.1:${nextHopPort}`;
  return `
${tls === undefined ? "" : `pki peer cert "${tls.cert}"\npki peer key "$FOLDER/key.pem"`}
smtp limit max-rcpt 1000
smtp limit max-mails 100000
queue ttl 1h
${listener}
action "out" relay host ${relay}${nextHopTls ? " tls no-verify" : ""}
match from any for any action "out"
`;
}
