/**
 * Certificates for tests.
 *
 *   const ca = await testAuthority();                            // made once a process
 *   const pair = await testCertificate("mx.example", "127.0.0.1"); // signed by it: {cert, key}
 *   const old = await expiredCertificate("mx.example");          // ended yesterday
 *
 * Trust them by handing `ca.cert` to the client. lib/certificate.ts makes everything else
 * (self-signed, other authorities).
 *
 * @module
 */
import { type CertificateAndKey, makeCertificate } from "../../lib/certificate.ts";

const DAY_MS = 86_400_000;
let authority: Promise<CertificateAndKey> | undefined;

/** The tests' own authority. */
export function testAuthority(): Promise<CertificateAndKey> {
  authority ??= makeCertificate({ names: ["Postroom Test CA"], days: 30, authority: true });
  return authority;
}

/** A certificate for these names and addresses, signed by the tests' authority, valid for 10 days. */
export async function testCertificate(...names: [string, ...string[]]): Promise<CertificateAndKey> {
  return makeCertificate({ names, days: 10, ca: await testAuthority() });
}

/** As testCertificate, but its validity ended yesterday. */
export async function expiredCertificate(...names: [string, ...string[]]): Promise<CertificateAndKey> {
  return makeCertificate({ names, days: 2, from: Date.now() - 3 * DAY_MS, ca: await testAuthority() });
}
