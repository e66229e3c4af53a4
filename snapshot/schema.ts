/**
 * Snapshot: everything a transport needs to know, compiled. The operator only writes it, the transport only reads it.
 *
 * Deterministic: the same objects in any order give the same digest. Keys never enter it: Secrets are named, not held.
 * Durations are in ms, sizes in octets.
 *
 * @module
 */
import type { AcceptedDomainSpec } from "../crds/accepted-domain.ts";
import type { AgentEntry } from "../crds/agents.ts";
import type { AllowedNamespaces } from "../crds/allowed-namespaces.ts";
import type { ReceiveConnectorSpec } from "../crds/receive-connector.ts";
import type { SendConnectorSpec } from "../crds/send-connector.ts";
import type { Actions, TransportRuleSpec } from "../crds/transport-rule.ts";

export type { AgentEntry } from "../crds/agents.ts";
/** Rules and agents keep quantities and durations as written; rooms that may not import crds read them with these. */
export { parseDuration, parseQuantity } from "../crds/common.ts";

/** namespace/name of a Secret. */
export type SecretName = string;

export interface TransportEntry {
  readonly name: string;
  readonly role: "Hub" | "Edge";
  readonly hostname: string;
  /** Kept here so that a MailTransport that somebody broke still knows whose objects it takes. */
  readonly allowedNamespaces: AllowedNamespaces;
  readonly queue: {
    readonly storageSize: number;
    readonly messageExpirationMs: number;
    readonly retryIntervalsMs: readonly number[];
    readonly delayNotificationMs: number;
    readonly poisonThreshold: number;
  };
  readonly limits: {
    readonly maxInboundConnections: number;
    readonly maxOutboundConnections: number;
    readonly maxPerDomainOutboundConnections: number;
    readonly maxMimeParts: number;
    readonly maxMimeDepth: number;
    readonly agentTimeoutMs: number;
  };
  readonly backPressure: {
    readonly submissionQueue: Level;
    readonly diskUsedPercent: Level;
    readonly memoryUsedPercent: Level;
  };
  /** Effective order: the MailTransport's, or the default of its role. Exactly one property each. */
  readonly agents: readonly AgentEntry[];
}

export interface Level {
  readonly medium: number;
  readonly high: number;
}

type Timed<Spec, Durations extends keyof Spec, Sizes extends keyof Spec> = Readonly<
  Pick<Spec, Exclude<keyof Spec, Durations | Sizes | "transportRefs" | "enabled">>
> & { readonly [Key in Durations as `${Key & string}Ms`]: number } & {
  readonly [Key in Sizes]: undefined extends Spec[Key] ? number | undefined : number;
};

/** A ReceiveConnector with durations in ms (suffix Ms), sizes in octets, secrets as namespace/name. */
export type ReceiveConnectorEntry = { readonly name: string } & Omit<
  Timed<
    ReceiveConnectorSpec,
    "tarpitInterval" | "connectionTimeout" | "connectionInactivityTimeout" | "greetingDelay",
    "maxMessageSize" | "maxHeaderSize"
  >,
  "tls" | "credentialsRef" | "fqdn"
> & {
    readonly fqdn: string;
    readonly tls: {
      readonly mode: ReceiveConnectorSpec["tls"]["mode"];
      readonly minVersion: ReceiveConnectorSpec["tls"]["minVersion"];
      readonly certificates: readonly SecretName[];
    };
    readonly credentials: SecretName | undefined;
  };

/** A SendConnector with durations in ms, sizes in octets, secrets as namespace/name, its own fqdn or the transport's. */
export type SendConnectorEntry = { readonly name: string } & Omit<
  Timed<SendConnectorSpec, "connectionTimeout" | "connectionInactivityTimeout", "maxMessageSize">,
  "tls" | "auth" | "fqdn" | "maxConnections"
> & {
    readonly fqdn: string;
    readonly maxConnections: number;
    readonly tls: {
      readonly mode: SendConnectorSpec["tls"]["mode"];
      readonly implicit: boolean;
      readonly serverName: string | undefined;
      readonly ca: SecretName | undefined;
      readonly clientCertificate: SecretName | undefined;
    };
    readonly auth:
      | {
          readonly mechanism: "Plain" | "Login";
          readonly secret: SecretName;
          readonly allowInsecure: boolean;
        }
      | undefined;
  };

/** An AcceptedDomain; domains are A-labels in lower case, "*.x" kept; addresses as they were written. */
export interface AcceptedDomainEntry {
  readonly name: string;
  /** Only the domains this object won (a domain claimed twice belongs to the older object). */
  readonly domains: readonly string[];
  readonly type: AcceptedDomainSpec["type"];
  readonly recipients: AcceptedDomainSpec["recipients"];
}

/** A TransportRule, ordered: position in the array is the order of evaluation. */
export interface RuleEntry {
  readonly name: string;
  readonly priority: number;
  /** Milliseconds since 1970; undefined: not known. Of rules of one priority the older goes first. */
  readonly createdAt: number | undefined;
  readonly mode: "Enforce" | "Audit";
  /** Milliseconds since 1970; undefined: no bound. */
  readonly activationDate: number | undefined;
  readonly expiryDate: number | undefined;
  readonly senderAddressLocation: TransportRuleSpec["senderAddressLocation"];
  readonly conditions: TransportRuleSpec["conditions"];
  readonly exceptions: TransportRuleSpec["exceptions"];
  /** routeMessageOutboundConnector is resolved to namespace/name. */
  readonly actions: Actions;
  readonly stopRuleProcessing: boolean;
  readonly onError: "Ignore" | "Defer";
}

export interface Snapshot {
  readonly version: 1;
  /** sha256 of the index of its chunks (chunks.ts), hex. */
  readonly digest: string;
  readonly transport: TransportEntry;
  readonly receiveConnectors: readonly ReceiveConnectorEntry[];
  readonly sendConnectors: readonly SendConnectorEntry[];
  readonly acceptedDomains: readonly AcceptedDomainEntry[];
  readonly rules: readonly RuleEntry[];
}

/** Contents of the Secrets that a snapshot names, by namespace/name: key -> octets as latin1-free UTF-8 text. */
export type Secrets = ReadonlyMap<SecretName, Readonly<Record<string, string>>>;
