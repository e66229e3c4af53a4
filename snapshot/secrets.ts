/** Checks that the Secrets an object names exist and hold the keys it needs. The object stays in force either way. Pure. */
import type { Diagnostic } from "../lib/diagnostics.ts";
import type { ReceiveConnectorEntry, SecretName, Secrets, SendConnectorEntry } from "./schema.ts";

interface Need {
  readonly object: string;
  readonly path: string;
  readonly secret: SecretName;
  readonly keys: readonly string[];
  /** What is missing without it. */
  readonly effect: string;
}

const CERTIFICATE_KEYS = ["tls.crt", "tls.key"];

export function checkReceiveSecrets(entry: ReceiveConnectorEntry, secrets: Secrets): Diagnostic[] {
  const object = `ReceiveConnector/${entry.name}`;
  const needs: Need[] = entry.tls.certificates.map((secret, index) => ({
    object,
    path: `spec.tls.certificateRefs[${index}].name`,
    secret,
    keys: CERTIFICATE_KEYS,
    effect: "TLS is not offered with it",
  }));
  if (entry.credentials !== undefined) {
    const effect = "nobody can log on";
    needs.push({
      object,
      path: "spec.credentialsRef.name",
      secret: entry.credentials,
      keys: ["users"],
      effect,
    });
  }
  return needs.flatMap((need) => checkNeed(need, secrets));
}

export function checkSendSecrets(entry: SendConnectorEntry, secrets: Secrets): Diagnostic[] {
  const object = `SendConnector/${entry.name}`;
  const { auth, tls } = entry;
  const needs: Need[] = [];
  const need = (path: string, secret: SecretName | undefined, keys: readonly string[]) => {
    if (secret === undefined) return;
    needs.push({ object, path, secret, keys, effect: "mail waits until it exists" });
  };
  need("spec.auth.secretRef.name", auth?.secret, ["username", "password"]);
  need("spec.tls.caRef.name", tls.ca, ["ca.crt"]);
  need("spec.tls.clientCertificateRef.name", tls.clientCertificate, CERTIFICATE_KEYS);
  return needs.flatMap((one) => checkNeed(one, secrets));
}

function checkNeed({ object, path, secret, keys, effect }: Need, secrets: Secrets): Diagnostic[] {
  const content = secrets.get(secret);
  const complain = (reason: string, message: string): Diagnostic[] => [
    { object, path, reason, message: `${message}: ${effect}`, severity: "warning" },
  ];
  if (content === undefined) return complain("SecretNotFound", `there is no Secret ${secret}`);
  const missing = keys.filter((key) => !Object.hasOwn(content, key));
  if (missing.length === 0) return [];
  return complain("SecretKeyNotFound", `Secret ${secret} has no key ${missing.join(", ")}`);
}
