/**
 * InForce: what the room made of one configuration. Replaced as a whole, never changed.
 *
 * @module
 */
import type { Diagnostic } from "../../lib/diagnostics.ts";
import type { DomainTable } from "../../snapshot/domain-table.ts";
import { Last } from "../../snapshot/recall.ts";
import type { ReceiveConnectorEntry, Secrets } from "../../snapshot/schema.ts";
import { type Credentials, parseCredentials } from "./auth.ts";
import { buildConnectorTable, type ConnectorTable } from "./binding.ts";
import type { SmtpConfig } from "./mod.ts";
import { CertificateStore, type ServerCertificates } from "./tls.ts";

export interface InForce {
  readonly table: ConnectorTable;
  readonly domains: DomainTable;
  readonly maxInboundConnections: number;
  /** By name of the connector. */
  readonly certificates: ReadonlyMap<string, ServerCertificates>;
  /** By name of the connector; missing: nobody's password can be checked. */
  readonly credentials: ReadonlyMap<string, Credentials>;
}

type Parsed = ReturnType<typeof parseCredentials>;

/** Turns configurations into what sessions ask for; what did not change since the last one is not made again. */
export class Preparer {
  readonly #certificates = new CertificateStore();
  readonly #table = new Last<ReturnType<typeof buildConnectorTable>>();
  /** By the text of the Secret: digests of a thousand passwords take a while. */
  #credentials: ReadonlyMap<string, Parsed> = new Map();

  /** Lists every fault. `keep` makes its certificates the last good ones. */
  prepare(
    { snapshot, domains, secrets }: SmtpConfig,
    { nowMs, listenAddress }: { readonly nowMs: number; readonly listenAddress: string | undefined },
  ): { readonly inForce: InForce; readonly diagnostics: readonly Diagnostic[]; keep(): void } {
    const connectors = snapshot.receiveConnectors;
    const { table, diagnostics: bindingFaults } = this.#table.of([listenAddress, ...connectors], () =>
      buildConnectorTable(connectors, listenAddress),
    );
    const loaded = this.#certificates.prepare(connectors, secrets, nowMs);
    const { credentials, diagnostics: credentialFaults } = this.#readAll(connectors, secrets);
    const { maxInboundConnections } = snapshot.transport.limits;
    return {
      inForce: { table, domains, maxInboundConnections, certificates: loaded.byConnector, credentials },
      diagnostics: [...bindingFaults, ...loaded.diagnostics, ...credentialFaults],
      keep: loaded.keep,
    };
  }

  #readAll(connectors: readonly ReceiveConnectorEntry[], secrets: Secrets) {
    const texts = new Map<string, Parsed>();
    const parse = (text: string) => {
      const parsed = texts.get(text) ?? this.#credentials.get(text) ?? parseCredentials(text);
      texts.set(text, parsed);
      return parsed;
    };
    const credentials = new Map<string, Credentials>();
    const diagnostics = connectors.flatMap((connector) => {
      const { parsed, faults } = readCredentials(connector, secrets, parse);
      if (parsed !== undefined) credentials.set(connector.name, parsed);
      return faults;
    });
    this.#credentials = texts;
    return { credentials, diagnostics };
  }
}

interface ReadCredentials {
  readonly parsed?: Credentials;
  readonly faults: readonly Diagnostic[];
}

/** A Secret that is gone takes its users with it: who was removed must not get in by an older copy. */
function readCredentials(
  connector: ReceiveConnectorEntry,
  secrets: Secrets,
  parse: (text: string) => Parsed,
): ReadCredentials {
  if (connector.credentials === undefined) return { faults: [] };
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
    return { faults: [fault("SecretNotFound", `${secret} is not there; create it with the key users`)] };
  const text = content.users;
  if (text === undefined) {
    const message = `${secret} has no key users; add it, one name:password a line`;
    return { faults: [fault("InvalidCredentials", message)] };
  }
  const { credentials, faults } = parse(text);
  return {
    parsed: credentials,
    faults: faults.map(({ line, message }) =>
      fault("InvalidCredentials", `${secret}, key users, line ${line} ${message}`),
    ),
  };
}
