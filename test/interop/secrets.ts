/** Secrets as manifests, for transports that peers talk to. */
import type { CertificateAndKey } from "../../lib/certificate.ts";

export function tlsSecret(name: string, { cert, key }: CertificateAndKey): string {
  const keys = JSON.stringify({ "tls.crt": cert, "tls.key": key });
  return `apiVersion: v1\nkind: Secret\nmetadata: {name: ${name}}\ntype: kubernetes.io/tls\nstringData: ${keys}\n`;
}

export function usersSecret(name: string, users: Readonly<Record<string, string>>): string {
  const lines = Object.entries(users).map(([user, password]) => `${user}:${password}\n`);
  const keys = JSON.stringify({ users: lines.join("") });
  return `apiVersion: v1\nkind: Secret\nmetadata: {name: ${name}}\ntype: Opaque\nstringData: ${keys}\n`;
}

/** What a send connector trusts. */
export function authoritySecret(name: string, { cert }: CertificateAndKey): string {
  const keys = JSON.stringify({ "ca.crt": cert });
  return `apiVersion: v1\nkind: Secret\nmetadata: {name: ${name}}\ntype: Opaque\nstringData: ${keys}\n`;
}
