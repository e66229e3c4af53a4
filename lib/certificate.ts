/**
 * Certificates for samples and tests: self-signed, an authority, or signed by one (RFC 5280).
 *
 * ECDSA P-256 with SHA-256; keys come as PKCS #8. pkijs loads at the first call, so that a transport
 * that is given its certificates never pays for it.
 *
 * @module
 */
import { randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import type { Extension, GeneralName } from "pkijs";
import { systemClock } from "./clock.ts";

export interface CertificateAndKey {
  /** PEM; the leaf alone. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

export interface CertificateRequest {
  /** Subject alternative names: host names (wildcards too) and IP addresses. The first is the common name. */
  readonly names: readonly [string, ...string[]];
  readonly days: number;
  /** Signs the certificate; left out: it signs itself. */
  readonly ca?: CertificateAndKey;
  /** True: the certificate may sign others. */
  readonly authority?: boolean;
  /** Start of validity in ms since 1970; left out: an hour ago, for clocks that differ. */
  readonly from?: number;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const HOUR_MS = 3_600_000;
const COMMON_NAME = "2.5.4.3";
const SUBJECT_ALT_NAME = "2.5.29.17";
const BASIC_CONSTRAINTS = "2.5.29.19";
const EXT_KEY_USAGE = "2.5.29.37";
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

type Pki = typeof import("pkijs");
type Asn1 = typeof import("asn1js");

/** Makes a key pair and a certificate over it. */
export async function makeCertificate(request: CertificateRequest): Promise<CertificateAndKey> {
  const [pki, asn1] = await Promise.all([import("pkijs"), import("asn1js")]);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = new pki.Certificate({ version: 2 });
  const from = request.from ?? systemClock.now() - HOUR_MS;
  certificate.notBefore.value = new Date(from);
  certificate.notAfter.value = new Date(from + request.days * 24 * HOUR_MS);
  // RFC 5280 §4.1.2.2: positive and at most 20 octets.
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  certificate.serialNumber = new asn1.Integer({ valueHex: octets(serial) });
  certificate.subject.typesAndValues.push(
    new pki.AttributeTypeAndValue({
      type: COMMON_NAME,
      // RFC 5280 appendix A.1: ub-common-name is 64.
      value: new asn1.Utf8String({ value: request.names[0].slice(0, 64) }),
    }),
  );
  certificate.extensions = extensions(pki, asn1, request);
  await certificate.subjectPublicKeyInfo.importKey(keys.publicKey);
  const issuer = request.ca;
  certificate.issuer =
    issuer === undefined ? certificate.subject : pki.Certificate.fromBER(der(issuer.cert)).subject;
  const signingKey = issuer === undefined ? keys.privateKey : await importKey(issuer.key);
  await certificate.sign(signingKey, "SHA-256");
  return {
    cert: pem("CERTIFICATE", certificate.toSchema(true).toBER()),
    key: pem("PRIVATE KEY", await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)),
  };
}

function extensions(pki: Pki, asn1: Asn1, { names, authority = false }: CertificateRequest): Extension[] {
  const altNames = new pki.GeneralNames({ names: names.map((name) => generalName(pki, asn1, name)) });
  const constraints = new pki.BasicConstraints({ cA: authority });
  const usage = new pki.ExtKeyUsage({ keyPurposes: [SERVER_AUTH, CLIENT_AUTH] });
  const list = [
    new pki.Extension({ extnID: SUBJECT_ALT_NAME, extnValue: altNames.toSchema().toBER() }),
    new pki.Extension({
      extnID: BASIC_CONSTRAINTS,
      critical: true,
      extnValue: constraints.toSchema().toBER(),
    }),
  ];
  if (!authority)
    list.push(new pki.Extension({ extnID: EXT_KEY_USAGE, extnValue: usage.toSchema().toBER() }));
  return list;
}

/** RFC 5280 §4.2.1.6: dNSName is choice 2, iPAddress 7, as 4 or 16 octets. */
function generalName(pki: Pki, asn1: Asn1, name: string): GeneralName {
  if (isIP(name) === 0) return new pki.GeneralName({ type: 2, value: name });
  const address = octets(Uint8Array.from(ipaddr.parse(name).toByteArray()));
  return new pki.GeneralName({ type: 7, value: new asn1.OctetString({ valueHex: address }) });
}

function importKey(key: string): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey("pkcs8", der(key), ALGORITHM, false, ["sign"]);
}

function pem(label: string, bytes: ArrayBuffer): string {
  const lines = Buffer.from(bytes)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

function der(text: string): ArrayBuffer {
  return octets(Buffer.from(text.replace(/-----[^-]+-----/g, ""), "base64"));
}

function octets(bytes: Uint8Array): ArrayBuffer {
  const copy = new ArrayBuffer(bytes.length);
  new Uint8Array(copy).set(bytes);
  return copy;
}
