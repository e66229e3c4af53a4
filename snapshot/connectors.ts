/** Connectors to entries: durations in ms, sizes in octets, domains as A-labels, Secrets as namespace/name. Pure. */
import { parseDuration, parseQuantity } from "../crds/common.ts";
import { normalizeDomainPattern } from "../crds/formats.ts";
import { qualifiedName, type ReceiveConnector, type SendConnector } from "../crds/mod.ts";
import type { ReceiveConnectorEntry, SecretName, SendConnectorEntry, TransportEntry } from "./schema.ts";

interface SecretRef {
  readonly name: string;
}

export function compileReceiveConnector(
  resource: ReceiveConnector,
  { hostname }: TransportEntry,
): ReceiveConnectorEntry {
  const { transportRefs, enabled, tls, credentialsRef, ...spec } = resource.spec;
  const { tarpitInterval, connectionTimeout, connectionInactivityTimeout, greetingDelay, ...rest } = spec;
  const secret = secretNamer(resource);
  return {
    ...rest,
    name: qualifiedName(resource),
    fqdn: spec.fqdn ?? hostname,
    maxMessageSize: parseQuantity(spec.maxMessageSize),
    maxHeaderSize: parseQuantity(spec.maxHeaderSize),
    tarpitIntervalMs: parseDuration(tarpitInterval),
    connectionTimeoutMs: parseDuration(connectionTimeout),
    connectionInactivityTimeoutMs: parseDuration(connectionInactivityTimeout),
    greetingDelayMs: parseDuration(greetingDelay),
    tls: { mode: tls.mode, minVersion: tls.minVersion, certificates: tls.certificateRefs.map(secret) },
    credentials: credentialsRef && secret(credentialsRef),
  };
}

export function compileSendConnector(
  resource: SendConnector,
  { hostname, limits }: TransportEntry,
): SendConnectorEntry {
  const { transportRefs, enabled, tls, auth, ...spec } = resource.spec;
  const { connectionTimeout, connectionInactivityTimeout, ...rest } = spec;
  const secret = secretNamer(resource);
  return {
    ...rest,
    name: qualifiedName(resource),
    fqdn: spec.fqdn ?? hostname,
    addressSpaces: spec.addressSpaces.map(({ domain, cost }) => ({
      domain: normalizeDomainPattern(domain) ?? domain,
      cost,
    })),
    maxMessageSize: spec.maxMessageSize === undefined ? undefined : parseQuantity(spec.maxMessageSize),
    maxConnections: spec.maxConnections ?? limits.maxPerDomainOutboundConnections,
    connectionTimeoutMs: parseDuration(connectionTimeout),
    connectionInactivityTimeoutMs: parseDuration(connectionInactivityTimeout),
    tls: {
      mode: tls.mode,
      implicit: tls.implicit,
      serverName: tls.serverName,
      ca: tls.caRef && secret(tls.caRef),
      clientCertificate: tls.clientCertificateRef && secret(tls.clientCertificateRef),
    },
    auth: auth && {
      mechanism: auth.mechanism,
      secret: secret(auth.secretRef),
      allowInsecure: auth.allowInsecure,
    },
  };
}

/** A Secret lies in the namespace of the object that names it. */
function secretNamer({ metadata }: ReceiveConnector | SendConnector): (ref: SecretRef) => SecretName {
  return ({ name }) => `${metadata.namespace}/${name}`;
}
