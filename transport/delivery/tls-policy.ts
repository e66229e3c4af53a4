/**
 * TLS policy: what a connector and a message together demand of one connection. Pure.
 *
 * In: the connector's mode, the message's demand, whether this host's TLS is known to be broken. Out: when to use
 * TLS and what to check. BrokenTls remembers hosts whose handshake failed, so that opportunistic mail goes on in clear.
 *
 * @module
 */
import type { ConnectionOptions } from "node:tls";
import type { SendConnectorEntry } from "../../snapshot/schema.ts";

export type TlsMode = SendConnectorEntry["tls"]["mode"];

export interface TlsPlan {
  readonly use: "never" | "if offered" | "always";
  readonly implicit: boolean;
  readonly options: ConnectionOptions;
  /** After a failed handshake this host may be tried in clear text. */
  readonly mayFallBack: boolean;
}

export interface TlsSecrets {
  readonly ca: string | undefined;
  readonly certificate: { readonly cert: string; readonly key: string } | undefined;
}

const REMEMBERED_MS = 3_600_000;
const MAX_HOSTS = 10_000;

/** encrypted: a rule, or a password to be sent. verified: the sender's REQUIRETLS. */
export type TlsDemand = "none" | "encrypted" | "verified";

/** The mode in force: a demand raises the connector's. RFC 8689 §4.2.1: REQUIRETLS wants the certificate checked. */
export function tlsMode(mode: TlsMode, demand: TlsDemand): TlsMode {
  if (demand === "none" || mode === "VerifyName") return mode;
  return demand === "verified" ? "VerifyName" : "Required";
}

/** What to do on a connection to `host`. */
export function planTls(
  connector: SendConnectorEntry["tls"],
  secrets: TlsSecrets,
  { host, demand, broken }: { host: string; demand: TlsDemand; broken: boolean },
): TlsPlan {
  const mode = tlsMode(connector.mode, demand);
  const { implicit } = connector;
  const always = implicit || mode === "Required" || mode === "VerifyName";
  const never = !always && (mode === "None" || broken);
  const servername = connector.serverName ?? host;
  return {
    use: always ? "always" : never ? "never" : "if offered",
    implicit,
    mayFallBack: !always && !never,
    options: {
      rejectUnauthorized: mode === "VerifyName",
      ...(isName(servername) ? { servername } : {}),
      ...(secrets.ca === undefined ? {} : { ca: secrets.ca }),
      ...(secrets.certificate ?? {}),
    },
  };
}

/** RFC 6066 §3: no address in SNI; Node then checks the address against the certificate. */
function isName(host: string): boolean {
  return !/^[\d.]+$/.test(host) && !host.includes(":");
}

/** Hosts whose TLS handshake failed within the last hour; bounded, the oldest is forgotten first. */
export class BrokenTls {
  readonly #until = new Map<string, number>();

  remember(host: string, now: number): void {
    this.#until.delete(host);
    this.#until.set(host, now + REMEMBERED_MS);
    const oldest = this.#until.keys().next().value;
    if (this.#until.size > MAX_HOSTS && oldest !== undefined) this.#until.delete(oldest);
  }

  has(host: string, now: number): boolean {
    return (this.#until.get(host) ?? 0) > now;
  }

  clear(): void {
    this.#until.clear();
  }
}
