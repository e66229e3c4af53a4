/** Manifests with TLS added to each receive connector and asked of each send connector. */
import { readFileSync } from "node:fs";
import { dump, loadAll } from "js-yaml";
import { tlsSecret } from "../../test/interop/secrets.ts";
import type { PeerOptions } from "./peer.ts";

interface Manifest {
  readonly kind: string;
  readonly spec?: Readonly<Record<string, unknown>>;
}

export function withTls(manifests: string, { tls, nextHopTls = false }: PeerOptions): string {
  if (tls === undefined && !nextHopTls) return manifests;
  const incoming = { mode: "Opportunistic", certificateRefs: [{ name: "peer-tls" }] };
  const changed = (loadAll(manifests) as Manifest[]).map((one) => {
    if (one.kind === "ReceiveConnector" && tls !== undefined)
      return { ...one, spec: { ...one.spec, tls: incoming } };
    if (one.kind === "SendConnector" && nextHopTls)
      return { ...one, spec: { ...one.spec, tls: { mode: "Required" } } };
    return one;
  });
  const documents = changed.map((one) => dump(one, { lineWidth: -1 }));
  if (tls !== undefined) {
    const pair = { cert: readFileSync(tls.cert, "utf8"), key: readFileSync(tls.key, "utf8") };
    documents.push(tlsSecret("peer-tls", pair));
  }
  return documents.join("---\n");
}
