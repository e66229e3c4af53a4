/** CustomResourceDefinitions of all kinds, from their schemas. Pure; `npm run gen` writes them to charts/postroom/files/crds. */
import type { z } from "zod";
import {
  GROUP,
  TRANSPORT_NAME_MAX,
  TRANSPORT_NAME_MESSAGE,
  TRANSPORT_NAME_PATTERN,
  VERSION,
} from "./common.ts";
import {
  SnapshotChunkSpec,
  TransportPodSpec,
  TransportPodStatus,
  TransportSnapshotSpec,
} from "./delivery-kinds.ts";
import { type INTERNAL_KINDS, KINDS, type Kind } from "./kinds.ts";
import { type Column, PRINTER_COLUMNS } from "./printer-columns.ts";
import { ResourceStatusSchema, TransportStatusSchema } from "./status.ts";
import { type StructuralSchema, structuralSchema } from "./structural-schema.ts";
import { type CelRule, celText } from "./validation.ts";

/** What a CustomResourceDefinition is made of. */
export interface CustomResource {
  readonly kind: Kind | (typeof INTERNAL_KINDS)[number];
  readonly plural: string;
  readonly shortNames: readonly string[];
  /** `kubectl get mail` lists the users' kinds, `kubectl get mail-internal` the others. */
  readonly category: "mail" | "mail-internal";
  readonly summary: string;
  readonly spec: z.ZodType;
  /** undefined: no status subresource. */
  readonly status: z.ZodType | undefined;
  readonly columns: readonly Column[];
  /** Rules of the whole object. */
  readonly rules?: readonly CelRule[];
  readonly scale?: object;
  /** What one CEL rule may cost, where a kind has very many. */
  readonly maxRuleCost?: number;
  readonly selectableFields?: readonly { readonly jsonPath: string }[];
}

/** metadata has no schema of its own in a CustomResourceDefinition. */
const TRANSPORT_NAME: CelRule = {
  rule: `self.metadata.name.size() <= ${TRANSPORT_NAME_MAX} && self.metadata.name.matches(${celText(TRANSPORT_NAME_PATTERN.source)})`,
  message: `metadata.name: ${TRANSPORT_NAME_MESSAGE}, at most ${TRANSPORT_NAME_MAX} characters`,
};

const CHILD = { status: ResourceStatusSchema };
/** What the kinds of users differ in. */
const OWN: Readonly<Record<Kind, Pick<CustomResource, "status" | "rules" | "scale" | "maxRuleCost">>> = {
  MailTransport: {
    status: TransportStatusSchema,
    rules: [TRANSPORT_NAME],
    scale: {
      specReplicasPath: ".spec.replicas",
      statusReplicasPath: ".status.replicas",
      labelSelectorPath: ".status.selector",
    },
  },
  ReceiveConnector: CHILD,
  SendConnector: CHILD,
  AcceptedDomain: CHILD,
  // Every predicate stands at four places, at two of them in a list.
  TransportRule: { ...CHILD, maxRuleCost: 4_000_000 },
};

/** Kinds that only the operator and the pods write. */
export const INTERNAL_RESOURCES: readonly CustomResource[] = [
  {
    kind: "TransportSnapshot",
    plural: "transportsnapshots",
    shortNames: ["tsnap"],
    category: "mail-internal",
    summary: "Which revision the pods of the MailTransport of the same name serve: one write is the switch.",
    spec: TransportSnapshotSpec,
    status: undefined,
    columns: PRINTER_COLUMNS.TransportSnapshot,
  },
  {
    kind: "SnapshotChunk",
    plural: "snapshotchunks",
    shortNames: ["schunk"],
    category: "mail-internal",
    summary: "An immutable part of a snapshot, named by its transport and digest.",
    spec: SnapshotChunkSpec,
    status: undefined,
    columns: PRINTER_COLUMNS.SnapshotChunk,
  },
  {
    kind: "TransportPod",
    plural: "transportpods",
    shortNames: ["tpod"],
    category: "mail-internal",
    summary: "One transport pod: the operator says what it shall do, the pod says what it does.",
    spec: TransportPodSpec,
    status: TransportPodStatus.describe("What the pod says of itself."),
    columns: PRINTER_COLUMNS.TransportPod,
    selectableFields: [{ jsonPath: ".spec.transport" }],
  },
];

export const CUSTOM_RESOURCES: readonly CustomResource[] = [
  ...KINDS.map(({ kind, plural, shortNames, summary, spec }): CustomResource => {
    const common = { kind, plural, shortNames, summary, spec, category: "mail" as const };
    return { ...common, ...OWN[kind], columns: PRINTER_COLUMNS[kind] };
  }),
  ...INTERNAL_RESOURCES,
];

export function customResourceDefinition(resource: CustomResource): object {
  const { kind, plural, shortNames, category, scale, selectableFields, columns, status } = resource;
  const subresources = {
    ...(status === undefined ? {} : { status: {} }),
    ...(scale === undefined ? {} : { scale }),
  };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: "Namespaced",
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames,
        categories: [category],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: objectSchema(resource) },
          ...(Object.keys(subresources).length === 0 ? {} : { subresources }),
          ...(selectableFields === undefined ? {} : { selectableFields }),
          additionalPrinterColumns: columns,
        },
      ],
    },
  };
}

function objectSchema({ kind, summary, spec, status, rules, maxRuleCost }: CustomResource): StructuralSchema {
  return {
    type: "object",
    description: summary,
    required: ["spec"],
    properties: {
      apiVersion: { type: "string", description: `Always ${GROUP}/${VERSION}.` },
      kind: { type: "string", description: `Always ${kind}.` },
      metadata: { type: "object" },
      spec: { ...structuralSchema(spec, maxRuleCost), description: "What is asked for." },
      ...(status === undefined ? {} : { status: structuralSchema(status) }),
    },
    ...(rules === undefined ? {} : { "x-kubernetes-validations": rules }),
  };
}
