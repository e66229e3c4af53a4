/** Postfix as a peer, from the installed Debian package: tuned for this load, or as it comes. */

import { postfixIsThere, startPostfix, TUNED } from "../../test/helpers/postfix.ts";
import { run } from "../../test/helpers/run.ts";
import { cpuGroup } from "./cpu-group.ts";
import type { Peer, PeerOptions } from "./peer.ts";
import { processesOf } from "./processes-of.ts";

export interface PostfixPeerOptions {
  readonly tuned: boolean;
  readonly name?: string;
  /** Further lines of main.cf; the last of two for one parameter wins. */
  readonly settings?: readonly string[];
}

export function postfix({ tuned, name, settings: further = [] }: PostfixPeerOptions): Peer {
  return {
    name: name ?? (tuned ? "Postfix, tuned" : "Postfix, default"),
    durability: "fsync of the queue file",
    isThere: async () => (postfixIsThere() ? undefined : "needs root and the Debian package postfix"),
    version: async () => `Postfix ${(await run("postconf", ["-h", "mail_version"])).output.trim()}`,
    async start(options) {
      const settings = [...(tuned ? TUNED : []), ...tlsSettings(options, tuned), ...further];
      const { port, pid, stop } = await startPostfix({ nextHopPort: options.nextHopPort, settings });
      const group = cpuGroup();
      const pids = () => processesOf(pid());
      group.add(pids());
      return {
        port,
        pids,
        cpuSeconds: group.seconds,
        async stop() {
          await stop();
          group.remove();
        },
      };
    },
  };
}

function tlsSettings({ tls, nextHopTls = false }: PeerOptions, tuned: boolean): string[] {
  const incoming = tls && [
    "smtpd_tls_security_level = may",
    `smtpd_tls_chain_files = ${tls.key}, ${tls.cert}`,
  ];
  // Without this each delivery has a handshake of its own.
  const kept = tuned ? ["smtp_tls_connection_reuse = yes"] : [];
  const outgoing = nextHopTls ? ["smtp_tls_security_level = encrypt", ...kept] : [];
  return [...(incoming ?? []), ...outgoing];
}
