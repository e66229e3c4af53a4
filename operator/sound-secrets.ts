/**
 * Secrets as pods shall have them: a certificate that is gone or cannot be used leaves the last good one in force.
 *
 * Else one bad Secret would have every pod refuse whatever else changes with it. Passwords are as they are: who was removed
 * must not get in by an older copy (docs/decisions/0015). Pure.
 *
 * @module
 */
import type { CertificateMemory, Secrets, Snapshot } from "../snapshot/mod.ts";
import type { HeldKeys } from "./keys.ts";

export function soundSecrets(
  found: Secrets,
  { receiveConnectors, sendConnectors }: Pick<Snapshot, "receiveConnectors" | "sendConnectors">,
  { keys, certificates }: { readonly keys: HeldKeys | undefined; readonly certificates: CertificateMemory },
): Secrets {
  const sound = new Map(found);
  const named = new Set([
    ...receiveConnectors.flatMap(({ tls }) => tls.certificates),
    ...sendConnectors.flatMap(({ tls }) => tls.clientCertificate ?? []),
  ]);
  for (const name of named) {
    const content = found.get(name);
    if (content !== undefined && certificates.read(content).fault === undefined) continue;
    const held = keys?.secrets.get(name);
    if (held === undefined) sound.delete(name);
    else sound.set(name, held);
  }
  certificates.forget();
  return sound;
}
