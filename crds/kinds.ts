/** The kinds of postroom.dev: names, schemas of whole objects, types. A new kind is one more entry here. */
import { z } from "zod";
import { AcceptedDomainSpec } from "./accepted-domain.ts";
import { GROUP, Metadata, type Resource, TransportName, VERSION } from "./common.ts";
import { MailTransportSpec } from "./mail-transport.ts";
import { ReceiveConnectorSpec } from "./receive-connector.ts";
import { SendConnectorSpec } from "./send-connector.ts";
import { TransportRuleSpec } from "./transport-rule.ts";

export const API_VERSION = `${GROUP}/${VERSION}`;

export type MailTransport = Resource<"MailTransport", MailTransportSpec>;
export type ReceiveConnector = Resource<"ReceiveConnector", ReceiveConnectorSpec>;
export type SendConnector = Resource<"SendConnector", SendConnectorSpec>;
export type AcceptedDomain = Resource<"AcceptedDomain", AcceptedDomainSpec>;
export type TransportRule = Resource<"TransportRule", TransportRuleSpec>;
export type AnyResource = MailTransport | ReceiveConnector | SendConnector | AcceptedDomain | TransportRule;
export type Kind = AnyResource["kind"];

export interface KindDefinition {
  readonly kind: Kind;
  readonly plural: string;
  readonly shortNames: readonly string[];
  /** One sentence for documentation and `kubectl explain`. */
  readonly summary: string;
  readonly spec: z.ZodObject;
  /** The whole object: apiVersion, kind, metadata, spec; a status is tolerated. */
  readonly schema: z.ZodObject;
}

export const KINDS: readonly KindDefinition[] = [
  define("MailTransport", "mailtransports", "mtr", {
    summary:
      "A set of transport pods, or the one standalone process: role, host name, queue, limits, agents.",
    spec: MailTransportSpec,
    name: TransportName,
  }),
  define("ReceiveConnector", "receiveconnectors", "rcv", {
    summary: "Who may connect, from where and how, with which rights and limits.",
    spec: ReceiveConnectorSpec,
  }),
  define("SendConnector", "sendconnectors", "snd", {
    summary: "Which mail leaves this way: address spaces, next hop, TLS, authentication, limits.",
    spec: SendConnectorSpec,
  }),
  define("AcceptedDomain", "accepteddomains", "adom", {
    summary: "Domains this organization receives mail for, and the recipients known in them.",
    spec: AcceptedDomainSpec,
  }),
  define("TransportRule", "transportrules", "trule", {
    summary: "Conditions, exceptions and actions on every message.",
    spec: TransportRuleSpec,
  }),
];

/** Kinds whose names are taken but which this version does not have. */
export const RESERVED_KINDS: readonly string[] = [
  "RemoteDomain",
  "JournalRule",
  "AddressRewrite",
  "Recipient",
  "RecipientDirectory",
  "EdgeSubscription",
];

/** Kinds that only the operator and its pods write. */
export const INTERNAL_KINDS = ["TransportSnapshot", "SnapshotChunk", "TransportPod"] as const;

/** namespace/name. */
export function qualifiedName({ metadata }: Pick<AnyResource, "metadata">): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** kind/namespace/name, as a Diagnostic names its object. */
export function objectName(resource: Pick<AnyResource, "kind" | "metadata">): string {
  return `${resource.kind}/${qualifiedName(resource)}`;
}

function define(
  kind: Kind,
  plural: string,
  shortName: string,
  { summary, spec, name }: Pick<KindDefinition, "summary" | "spec"> & { readonly name?: z.ZodType<string> },
): KindDefinition {
  const described = "Name of the object, unique for its kind in the namespace.";
  const metadata = name === undefined ? Metadata : Metadata.extend({ name: name.describe(described) });
  const schema = z.strictObject({
    apiVersion: z.literal(API_VERSION).describe(`Always ${API_VERSION}.`),
    kind: z.literal(kind).describe(`Always ${kind}.`),
    metadata: metadata.describe("Name and namespace, as every Kubernetes object has them."),
    spec: spec.describe("What is asked for."),
    status: z
      .unknown()
      .optional()
      .describe("Written by the operator; a manifest may carry it, it is not read."),
  });
  return { kind, plural, shortNames: [shortName], summary, spec, schema };
}
