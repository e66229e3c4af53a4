/** Schemas that several kinds share: quantities, durations, names, references. */
import { z } from "zod";
import { matching, withFormat, withRules } from "./validation.ts";

export const GROUP = "postroom.dev";
export const VERSION = "v1alpha1";

const MORE_THAN_0 = "must be more than 0";

/** Kubernetes quantity of octets: "36Mi", "256Ki", "1G", "1000". Parse with parseQuantity. */
export const Quantity = matching(
  /^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$/,
  "write a quantity such as 36Mi",
).max(32);

/** A Quantity that must be more than nothing: a limit of 0 would refuse all mail. */
export const PositiveQuantity = withRules(
  Quantity.refine((text) => parseQuantity(text) !== 0, { error: MORE_THAN_0 }),
  { rule: "!isQuantity(self) || quantity(self).compareTo(quantity('1')) >= 0", message: MORE_THAN_0 },
);

/** Go-style duration, and d for days: "1h30m", "500ms", "2d". No finer than 1 ms. Parse with parseDuration. */
export const Duration = matching(
  /^([0-9]+ms|[0-9]+(\.[0-9]{1,3})?(s|m|h|d))+$/,
  "write a duration such as 5m or 1h30m",
).max(32);

/** A Duration that must be more than nothing. */
export const PositiveDuration = withRules(
  Duration.refine((text) => parseDuration(text) !== 0, { error: MORE_THAN_0 }),
  { rule: "self.matches('[1-9]')", message: MORE_THAN_0 },
);

const TIME_MESSAGE = "write an RFC 3339 time such as 2026-01-31T09:00:00Z";
const TIME = z.iso.datetime({ offset: true });

/** RFC 3339 time of a user's object. */
export const Time = withFormat(TIME.max(40), {
  message: TIME_MESSAGE,
  checks: [{ pattern: z.regexes.datetime({ offset: true }).source }],
});

export const DnsLabel = matching(
  /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/,
  "use lower-case letters, digits, '-' and '.'",
)
  .min(1)
  .max(253);

/** 52: the names of a transport's pods, and of their volumes' claims, are longer by some characters and must fit 63. */
export const TRANSPORT_NAME_MAX = 52;
export const TRANSPORT_NAME_PATTERN = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
export const TRANSPORT_NAME_MESSAGE = "use lower-case letters, digits and '-', a letter first";

/** DNS-1035 label. */
export const TransportName = z
  .string()
  .min(1)
  .max(TRANSPORT_NAME_MAX)
  .regex(TRANSPORT_NAME_PATTERN, TRANSPORT_NAME_MESSAGE);

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
