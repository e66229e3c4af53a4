/** Schemas that several kinds share: quantities, durations, names, references. */
import { z } from "zod";

export const GROUP = "postroom.dev";
export const VERSION = "v1alpha1";

/** Kubernetes quantity of octets: "36Mi", "256Ki", "1G", "1000". Parse with parseQuantity. */
export const Quantity = z
  .string()
  .regex(/^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$/, "write a quantity such as 36Mi");

/** A Quantity that must be more than nothing: a limit of 0 would refuse all mail. */
export const PositiveQuantity = Quantity.refine((text) => parseQuantity(text) !== 0, {
  error: "must be more than 0",
});

/** Go-style duration: "1h30m", "500ms", "48h". Parse with parseDuration. */
export const Duration = z
  .string()
  .regex(/^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$/, "write a duration such as 5m or 1h30m");

/** A Duration that must be more than nothing. */
export const PositiveDuration = Duration.refine((text) => parseDuration(text) !== 0, {
  error: "must be more than 0",
});

export const DnsLabel = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, "use lower-case letters, digits, '-' and '.'");

/** DNS-1035 label. 52: the names of its pods and of their volumes' claims are longer by some characters and must fit 63. */
export const TransportName = z
  .string()
  .min(1)
  .max(52)
  .regex(/^[a-z]([-a-z0-9]*[a-z0-9])?$/, "use lower-case letters, digits and '-', a letter first");

export const SecretRef = z.strictObject({
  name: DnsLabel.describe("Name of a Secret in the same namespace."),
});

export const TransportRef = z.strictObject({
  name: DnsLabel.describe("Name of the MailTransport."),
  namespace: DnsLabel.optional().describe("Namespace of the MailTransport; default: this object's own."),
});

export const transportRefs = z
  .array(TransportRef)
  .min(1)
  .max(16)
  .optional()
  .describe("MailTransports this object attaches to. Left out: every MailTransport in its namespace.");

export const enabled = z.boolean().default(true).describe("False takes the object out of force.");

const QUANTITY_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};
const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 };

/** Octets of a Quantity that the schema has accepted. */
export function parseQuantity(text: string): number {
  const [, number = "0", unit = ""] = /^([0-9.]+)([A-Za-z]*)$/.exec(text) ?? [];
  return Math.floor(Number(number) * (QUANTITY_UNITS[unit] ?? Number.NaN));
}

/** Milliseconds of a Duration that the schema has accepted. */
export function parseDuration(text: string): number {
  let ms = 0;
  for (const [, number, unit] of text.matchAll(/([0-9.]+)(ms|s|m|h|d)/g)) {
    ms += Number(number) * (DURATION_UNITS[unit ?? ""] ?? Number.NaN);
  }
  return Math.round(ms);
}

/** metadata as every object carries it; the fields that Postroom reads. */
export const Metadata = z.looseObject({
  name: DnsLabel.describe("Name of the object, unique for its kind in the namespace."),
  namespace: DnsLabel.default("default").describe("Namespace; in a folder of manifests: default."),
  // kubectl and code generators write `creationTimestamp: null` into manifests.
  creationTimestamp: z
    .string()
    .nullish()
    .transform((time) => time ?? undefined)
    .describe("Set by the API server. The older object wins a conflict."),
  generation: z.number().optional().describe("Set by the API server."),
});
export type Metadata = z.infer<typeof Metadata>;

/** A resource of one kind, as parsed by its schema. */
export interface Resource<Kind extends string, Spec> {
  readonly kind: Kind;
  readonly metadata: Metadata;
  readonly spec: Spec;
}
