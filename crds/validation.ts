/**
 * What the API server checks, written beside the check that zod makes: CEL rules and formats, carried in a schema's meta.
 *
 * A rule is x-kubernetes-validations as it stands. A format has several ways to be checked, the strictest first;
 * structural-schema.ts takes the first whose cost the API server allows where the field stands.
 *
 * @module
 */
import { z } from "zod";

/** One entry of x-kubernetes-validations. `fieldPath` is relative to the schema: ".tls.certificateRefs". */
export interface CelRule {
  readonly rule: string;
  readonly message?: string;
  /** CEL that gives the message. */
  readonly messageExpression?: string;
  readonly fieldPath?: string;
}

/** A way to check a text: a CEL expression on `self` and what the API server estimates for it, or an RE2 pattern. */
export type TextCheck = { readonly rule: string; readonly cost: number } | { readonly pattern: string };

export interface TextFormat {
  readonly message: string;
  readonly checks: readonly TextCheck[];
}

export const RULES_KEY = "x-kubernetes-validations";
const FORMAT = "x-postroom-format";

export function withRules<Schema extends z.ZodType>(schema: Schema, ...rules: readonly CelRule[]): Schema {
  return schema.meta({ [RULES_KEY]: [...rulesOf(schema.meta() ?? {}), ...rules] });
}

export function withFormat<Schema extends z.ZodType>(schema: Schema, format: TextFormat): Schema {
  return schema.meta({ [FORMAT]: format });
}

/** Text that matches. The pattern must mean the same to JavaScript and to RE2. */
export function matching(pattern: RegExp, message: string): z.ZodString {
  return withFormat(z.string().regex(pattern, message), { message, checks: [{ pattern: pattern.source }] });
}

type Meta = Readonly<Record<string, unknown>>;

/** The two below read what the two above have written; a JSON schema carries it on. */
export function rulesOf(meta: Meta): readonly CelRule[] {
  return (meta[RULES_KEY] as readonly CelRule[] | undefined) ?? [];
}

export function formatOf(meta: Meta): TextFormat | undefined {
  return meta[FORMAT] as TextFormat | undefined;
}

/** CEL: one of the fields is there. */
export function hasAnyOf(fields: readonly string[]): string {
  return fields.map((field) => `has(self.${field})`).join(" || ");
}

/** A CEL string. */
export function celText(text: string): string {
  return JSON.stringify(text);
}
