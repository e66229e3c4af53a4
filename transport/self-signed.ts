/** Self-signed: certificates for TLS Secrets that the manifests name but do not hold. For trying out, asked for by a flag. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AnyResource } from "../crds/mod.ts";
import { makeCertificate } from "../lib/certificate.ts";
import type { Logger } from "../lib/log.ts";
import type { Secrets } from "../snapshot/mod.ts";

const DAYS = 365;

/** Secrets plus one made for each missing TLS Secret; kept in the state folder, so that restarts show the same. */
export async function supplySelfSigned(
  resources: readonly AnyResource[],
  secrets: Secrets,
  { directory, log }: { readonly directory: string; readonly log: Logger },
): Promise<Secrets> {
  const hostname =
    resources.find((resource) => resource.kind === "MailTransport")?.spec.hostname ?? "localhost";
  const wanted = new Map(
    resources.flatMap((resource) => {
      if (resource.kind !== "ReceiveConnector") return [];
      const { namespace } = resource.metadata;
      const { tls, fqdn } = resource.spec;
      return tls.certificateRefs.map(({ name }) => [`${namespace}/${name}`, fqdn ?? hostname] as const);
    }),
  );
  const missing = [...wanted].filter(([name]) => !secrets.has(name));
  if (missing.length === 0) return secrets;
  const folder = join(directory, "certificates");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const made = await Promise.all(
    missing.map(
      async ([name, fqdn]) =>
        [name, await readOrMake(join(folder, `${name.replace("/", ".")}.json`), fqdn, log)] as const,
    ),
  );
  return new Map([...secrets, ...made]);
}

async function readOrMake(
  path: string,
  fqdn: string,
  log: Logger,
): Promise<Readonly<Record<string, string>>> {
  const kept = await readFile(path, "utf8").catch(() => undefined);
  if (kept !== undefined) return JSON.parse(kept);
  const { cert, key } = await makeCertificate({ names: [fqdn, "localhost", "127.0.0.1"], days: DAYS });
  const secret = { "tls.crt": cert, "tls.key": key };
  await writeFile(path, JSON.stringify(secret), { mode: 0o600 });
  log.warn({ fqdn, days: DAYS }, "made a self-signed certificate: for trying out only");
  return secret;
}
