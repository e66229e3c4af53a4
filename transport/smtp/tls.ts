/**
 * Server certificates: from kubernetes.io/tls Secrets to one TLS context for each server name.
 *
 * A context is built when the content of its Secret is new, and kept as long as the content stays the same. A Secret
 * that does not load leaves the last good one of its name in force and is a diagnostic. Keys stay in this file.
 *
 * @module
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Diagnostic } from "../../lib/diagnostics.ts";
import type { ReceiveConnectorEntry, SecretName, Secrets } from "../../snapshot/schema.ts";

type TlsVersion = ReceiveConnectorEntry["tls"]["minVersion"];

/** The certificates of one connector. */
export interface ServerCertificates {
  /** The certificate of that name: exact, then wildcard, then the first; undefined: there is none at all. */
  context(servername: string): SecureContext | undefined;
}

interface Certificate {
  readonly chain: string;
  readonly key: string;
  readonly names: readonly string[];
  readonly validFromMs: number;
  readonly validToMs: number;
  context(minVersion: TlsVersion): SecureContext;
}

type Fault = Pick<Diagnostic, "reason" | "message" | "severity">;

/** Keeps the certificates in force between one configuration and the next. */
export class CertificateStore {
  #lastGood: ReadonlyMap<SecretName, Certificate> = new Map();

  /** Loads what is new. Nothing of it counts before keep(), which forgets what no connector names any more. */
  prepare(
    connectors: readonly ReceiveConnectorEntry[],
    secrets: Secrets,
    nowMs: number,
  ): {
    readonly byConnector: ReadonlyMap<string, ServerCertificates>;
    readonly diagnostics: readonly Diagnostic[];
    keep(): void;
  } {
    const loaded = new Map<SecretName, { certificate: Certificate | undefined; fault: Fault | undefined }>();
    for (const secret of new Set(connectors.flatMap(({ tls }) => tls.certificates))) {
      loaded.set(secret, load(secret, secrets, { lastGood: this.#lastGood.get(secret), nowMs }));
    }
    const good = new Map(
      [...loaded].flatMap(([secret, { certificate }]) =>
        certificate === undefined ? [] : [[secret, certificate]],
      ),
    );
    const diagnostics = connectors.flatMap((connector) =>
      connector.tls.certificates.flatMap((secret, position) => {
        const fault = loaded.get(secret)?.fault;
        const path = `spec.tls.certificateRefs[${position}]`;
        return fault === undefined ? [] : [{ object: `ReceiveConnector/${connector.name}`, path, ...fault }];
      }),
    );
    const byConnector = new Map(
      connectors.map(({ name, tls }) => [name, serverCertificates(tls, good)] as const),
    );
    const keep = () => {
      this.#lastGood = good;
    };
    return { byConnector, diagnostics, keep };
  }
}

function serverCertificates(
  tls: ReceiveConnectorEntry["tls"],
  certificates: ReadonlyMap<SecretName, Certificate>,
): ServerCertificates {
  const usable = tls.certificates.flatMap((secret) => certificates.get(secret) ?? []);
  const byName = new Map<string, Certificate>();
  for (const certificate of usable.toReversed()) {
    for (const name of certificate.names) byName.set(name, certificate);
  }
  return {
    context(servername) {
      const name = servername.toLowerCase();
      // RFC 6125 section 6.4.3: the wildcard stands for the whole leftmost label and nothing else.
      const wildcard = `*${name.slice(name.indexOf("."))}`;
      const certificate = byName.get(name) ?? byName.get(wildcard) ?? usable[0];
      return certificate?.context(tls.minVersion);
    },
  };
}

function load(
  secret: SecretName,
  secrets: Secrets,
  { lastGood, nowMs }: { readonly lastGood: Certificate | undefined; readonly nowMs: number },
): { certificate: Certificate | undefined; fault: Fault | undefined } {
  const content = secrets.get(secret);
  const kept = lastGood === undefined ? "" : "; the last good one stays in force";
  if (content === undefined) {
    const message = `Secret "${secret}" is not there; create it with type kubernetes.io/tls${kept}`;
    return { certificate: lastGood, fault: { reason: "SecretNotFound", message, severity: "error" } };
  }
  const { "tls.crt": chain = "", "tls.key": key = "" } = content;
  const isSame = lastGood?.chain === chain && lastGood.key === key;
  const certificate = isSame ? lastGood : parse(chain, key);
  if (typeof certificate !== "string") return { certificate, fault: dateFault(secret, certificate, nowMs) };
  const message = `Secret "${secret}" ${certificate}${kept}`;
  return { certificate: lastGood, fault: { reason: "InvalidCertificate", message, severity: "error" } };
}

/** The certificate, or what is wrong with it in words that hold nothing of the key. */
function parse(chain: string, key: string): Certificate | string {
  const leaf = attempt(() => new X509Certificate(chain));
  if (leaf === undefined) return "holds no PEM certificate in tls.crt";
  const privateKey = attempt(() => createPrivateKey(key));
  if (privateKey === undefined) return "holds no unencrypted PEM key in tls.key";
  if (!leaf.checkPrivateKey(privateKey)) return "holds a tls.key that does not belong to its tls.crt";
  const contexts = new Map<TlsVersion, SecureContext>();
  const context = (minVersion: TlsVersion) => {
    const built = contexts.get(minVersion) ?? createSecureContext({ cert: chain, key, minVersion });
    contexts.set(minVersion, built);
    return built;
  };
  if (attempt(() => context("TLSv1.2")) === undefined)
    return "is refused by OpenSSL: the key is too weak or the chain is broken";
  return {
    chain,
    key,
    names: namesOf(leaf),
    validFromMs: leaf.validFromDate.getTime(),
    validToMs: leaf.validToDate.getTime(),
    context,
  };
}

/** DNS names of the certificate; a quoted one is no host name and stands for nothing. */
function namesOf({ subjectAltName = "" }: X509Certificate): readonly string[] {
  return subjectAltName
    .split(", ")
    .filter((name) => name.startsWith("DNS:") && !name.startsWith('DNS:"'))
    .map((name) => name.slice(4).toLowerCase());
}

function dateFault(
  secret: SecretName,
  { validFromMs, validToMs }: Certificate,
  nowMs: number,
): Fault | undefined {
  if (nowMs >= validToMs) {
    const message = `Secret "${secret}" expired at ${new Date(validToMs).toISOString()}; renew the certificate`;
    return { reason: "CertificateExpired", message, severity: "warning" };
  }
  if (nowMs >= validFromMs) return undefined;
  const message = `Secret "${secret}" is not valid before ${new Date(validFromMs).toISOString()}; check the clock`;
  return { reason: "CertificateNotYetValid", message, severity: "warning" };
}

function attempt<T>(build: () => T): T | undefined {
  try {
    return build();
  } catch {
    // The caller names the fault: OpenSSL's own words help nobody and may quote the input.
    return undefined;
  }
}
