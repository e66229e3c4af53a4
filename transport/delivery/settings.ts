/** Settings of a connector with its Secrets looked up: what a connection is made with, and a fingerprint of it all. */
import type { Secrets, SendConnectorEntry } from "../../snapshot/schema.ts";
import type { ClientOptions } from "./client-options.ts";
import type { DeliveryJob } from "./mod.ts";
import type { TlsDemand, TlsSecrets } from "./tls-policy.ts";

export interface ConnectorSettings {
  readonly tls: TlsSecrets;
  readonly auth: ClientOptions["auth"];
  /** Differs when anything a connection depends on differs. Held in memory only. */
  readonly fingerprint: string;
}

/** What one message adds. */
export interface JobSettings extends ConnectorSettings {
  readonly demand: TlsDemand;
}

export interface MissingSecret {
  readonly missing: string;
}

const known = new WeakMap<
  SendConnectorEntry,
  { secrets: Secrets; settings: ConnectorSettings | MissingSecret }
>();

/** Looks the Secrets up; remembered while connector and Secrets are the same objects. */
export function settingsOf(
  connector: SendConnectorEntry,
  secrets: Secrets,
): ConnectorSettings | MissingSecret {
  const hit = known.get(connector);
  if (hit !== undefined && hit.secrets === secrets) return hit.settings;
  const settings = readSettings(connector, secrets);
  known.set(connector, { secrets, settings });
  return settings;
}

/** The settings for this job. A kept connection whose certificate nobody checked is none for REQUIRETLS. */
export function settingsFor({ message, nextHop }: DeliveryJob, settings: ConnectorSettings): JobSettings {
  const { auth, fingerprint } = settings;
  if (message.envelope.requireTls) {
    return { ...settings, demand: "verified", fingerprint: `${fingerprint} verified` };
  }
  const isEncrypted = nextHop.requireTls || (auth !== undefined && !auth.allowInsecure);
  return { ...settings, demand: isEncrypted ? "encrypted" : "none" };
}

function readSettings(connector: SendConnectorEntry, secrets: Secrets): ConnectorSettings | MissingSecret {
  const { tls, auth } = connector;
  const wanted: (readonly [name: string | undefined, keys: readonly string[]])[] = [
    [tls.ca, ["ca.crt"]],
    [tls.clientCertificate, ["tls.crt", "tls.key"]],
    [auth?.secret, ["username", "password"]],
  ];
  const values: (readonly string[])[] = [];
  for (const [name, keys] of wanted) {
    const found = name === undefined ? [] : keys.map((key) => secrets.get(name)?.[key]);
    const absent = found.indexOf(undefined);
    if (absent >= 0) return { missing: `The Secret ${name} has no ${keys[absent]}` };
    values.push(found as string[]);
  }
  const [[ca] = [], [cert, key] = [], [username, password] = []] = values;
  const certificate = cert === undefined || key === undefined ? undefined : { cert, key };
  const credentials =
    auth === undefined || username === undefined || password === undefined
      ? undefined
      : { mechanism: auth.mechanism, allowInsecure: auth.allowInsecure, username, password };
  return { tls: { ca, certificate }, auth: credentials, fingerprint: JSON.stringify([connector, values]) };
}
