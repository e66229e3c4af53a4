/** Checks that the Secrets an object names exist and hold what it needs. The object stays in force either way. Pure. */
import type { Diagnostic } from "../lib/diagnostics.ts";
import { type CertificateMemory, holdsCertificate } from "./certificates.ts";
import type { ReceiveConnectorEntry, SecretName, Secrets, SendConnectorEntry } from "./schema.ts";

export interface SecretChecks {
  readonly secrets: Secrets;
  readonly certificates: CertificateMemory;
  /** ms since 1970; undefined: dates are not checked. */
  readonly now: number | undefined;
}

interface Need {
  readonly object: string;
  readonly path: string;
  readonly secret: SecretName;
  readonly keys: readonly string[];
  /** What is missing without it. */
  readonly effect: string;
}

const CERTIFICATE_KEYS = ["tls.crt", "tls.key"];

export function checkReceiveSecrets(entry: ReceiveConnectorEntry, checks: SecretChecks): Diagnostic[] {
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
  return needs.flatMap((need) => checkNeed(need, checks));
}

export function checkSendSecrets(entry: SendConnectorEntry, checks: SecretChecks): Diagnostic[] {
  const object = `SendConnector/${entry.name}`;
  const { auth, tls } = entry;
  const needs: Need[] = [];
  const need = (path: string, secret: SecretName | undefined, keys: readonly string[]) => {
    if (secret === undefined) return;
    needs.push({ object, path, secret, keys, effect: "mail waits until this is mended" });
  };
  need("spec.auth.secretRef.name", auth?.secret, ["username", "password"]);
  need("spec.tls.caRef.name", tls.ca, ["ca.crt"]);
  need("spec.tls.clientCertificateRef.name", tls.clientCertificate, CERTIFICATE_KEYS);
  return needs.flatMap((one) => checkNeed(one, checks));
}

function checkNeed(need: Need, checks: SecretChecks): Diagnostic[] {
  const { object, path, secret, keys, effect } = need;
  const content = checks.secrets.get(secret);
  const complain = (reason: string, message: string): Diagnostic[] => [
    { object, path, reason, message: `${message}: ${effect}`, severity: "warning" },
  ];
  if (content === undefined) return complain("SecretNotFound", `there is no Secret ${secret}`);
  const missing = keys.filter((key) => !Object.hasOwn(content, key));
  if (missing.length > 0)
    return complain("SecretKeyNotFound", `Secret ${secret} has no key ${missing.join(", ")}`);
  if (keys.includes("ca.crt") && !holdsCertificate(content["ca.crt"] ?? ""))
    return complain("InvalidCertificate", `in Secret ${secret} ca.crt holds no certificate in PEM`);
  if (keys !== CERTIFICATE_KEYS) return [];
  const { fault, notAfter } = checks.certificates.read(content);
  if (fault !== undefined) return complain("InvalidCertificate", `in Secret ${secret} ${fault}`);
  return isExpired(notAfter, checks) ? [expired(need, notAfter)] : [];
}

function isExpired(notAfter: number, { now }: SecretChecks): boolean {
  return now !== undefined && notAfter < now;
}

function expired({ object, path, secret }: Need, notAfter: number): Diagnostic {
  const since = new Date(notAfter).toISOString();
  const message = `the certificate in Secret ${secret} expired at ${since}: peers that check it refuse it, renew it`;
  return { object, path, reason: "CertificateExpired", message, severity: "warning" };
}
