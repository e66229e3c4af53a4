/**
 * InForce: what the room made of one configuration. Replaced as a whole, never changed.
 *
 * @module
 */
import type { Diagnostic } from "../../lib/diagnostics.ts";
import type { DomainTable } from "../../snapshot/domain-table.ts";
import type { ReceiveConnectorEntry, Secrets } from "../../snapshot/schema.ts";
import { type Credentials, parseCredentials } from "./auth.ts";
import { buildConnectorTable, type ConnectorTable } from "./binding.ts";
import type { SmtpConfig } from "./mod.ts";
import type { CertificateStore, ServerCertificates } from "./tls.ts";

export interface InForce {
  readonly table: ConnectorTable;
  readonly domains: DomainTable;
  readonly maxInboundConnections: number;
  /** By name of the connector. */
  readonly certificates: ReadonlyMap<string, ServerCertificates>;
  /** By name of the connector; missing: nobody's password can be checked. */
  readonly credentials: ReadonlyMap<string, Credentials>;
}

/** Turns a configuration into what sessions ask for, and lists every fault. `keep` makes its certificates the last good ones. */
export function prepare(
  config: SmtpConfig,
  store: CertificateStore,
  { nowMs, listenAddress }: { readonly nowMs: number; readonly listenAddress: string | undefined },
): { readonly inForce: InForce; readonly diagnostics: readonly Diagnostic[]; keep(): void } {
  const { snapshot, domains, secrets } = config;
  const connectors = snapshot.receiveConnectors;
  const { table, diagnostics: bindingFaults } = buildConnectorTable(connectors, listenAddress);
  const loaded = store.prepare(connectors, secrets, nowMs);
  const credentials = new Map<string, Credentials>();
  const credentialFaults = connectors.flatMap((connector) =>
    readCredentials(connector, secrets, credentials),
  );
  const { maxInboundConnections } = snapshot.transport.limits;
  return {
    inForce: { table, domains, maxInboundConnections, certificates: loaded.byConnector, credentials },
    diagnostics: [...bindingFaults, ...loaded.diagnostics, ...credentialFaults],
    keep: loaded.keep,
  };
}

/** A Secret that is gone takes its users with it: who was removed must not get in by an older copy. */
function readCredentials(
  connector: ReceiveConnectorEntry,
  secrets: Secrets,
  credentials: Map<string, Credentials>,
): readonly Diagnostic[] {
  if (connector.credentials === undefined) return [];
  const secret = `Secret "${connector.credentials}"`;
  const fault = (reason: string, message: string): Diagnostic => ({
    object: `ReceiveConnector/${connector.name}`,
    path: "spec.credentialsRef",
    reason,
    message,
    severity: "error",
  });
  const content = secrets.get(connector.credentials);
  if (content === undefined)
    return [fault("SecretNotFound", `${secret} is not there; create it with the key users`)];
  const text = content.users;
  if (text === undefined)
    return [fault("InvalidCredentials", `${secret} has no key users; add it, one name:password a line`)];
  const { credentials: read, faults } = parseCredentials(text);
  credentials.set(connector.name, read);
  return faults.map(({ line, message }) =>
    fault("InvalidCredentials", `${secret}, key users, line ${line} ${message}`),
  );
}
