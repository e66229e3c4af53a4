/** What a kubernetes.io/tls Secret holds: a certificate and its own key, or what is wrong with them. Pure. */
import { createHash, createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";

export interface CertificateFacts {
  /** What cannot be used, as the end of a sentence; undefined: certificate and key fit. */
  readonly fault: string | undefined;
  /** ms since 1970. */
  readonly notAfter: number;
}

type Content = Readonly<Record<string, string>>;

/** Facts of the certificates that were asked for since the last forget(), and in the round before. Holds no keys. */
export class CertificateMemory {
  #known = new Map<string, CertificateFacts>();
  #asked = new Map<string, CertificateFacts>();

  read(content: Content): CertificateFacts {
    const { "tls.crt": certificate = "", "tls.key": key = "" } = content;
    const name = createHash("sha256").update(certificate).update("\0").update(key).digest("hex");
    const facts = this.#asked.get(name) ?? this.#known.get(name) ?? readCertificate(certificate, key);
    this.#asked.set(name, facts);
    return facts;
  }

  /** Forgets what nobody asked for since the last call. */
  forget(): void {
    this.#known = this.#asked;
    this.#asked = new Map();
  }
}

/** True when `text` begins with a certificate that can be read. */
export function holdsCertificate(text: string): boolean {
  return parseCertificate(text) !== undefined;
}

function readCertificate(text: string, keyText: string): CertificateFacts {
  const certificate = parseCertificate(text);
  const wrong = (fault: string) => ({ fault, notAfter: Number.POSITIVE_INFINITY });
  if (certificate === undefined) return wrong("tls.crt holds no certificate in PEM");
  const key = parseKey(keyText);
  if (key === undefined) return wrong("tls.key holds no private key in PEM without a passphrase");
  if (!certificate.checkPrivateKey(key))
    return wrong("tls.key is not the key of the first certificate in tls.crt");
  return { fault: undefined, notAfter: Date.parse(certificate.validTo) };
}

function parseCertificate(text: string): X509Certificate | undefined {
  try {
    return new X509Certificate(text);
  } catch {
    return undefined;
  }
}

function parseKey(text: string): KeyObject | undefined {
  try {
    return createPrivateKey(text);
  } catch {
    return undefined;
  }
}
