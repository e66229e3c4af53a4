/**
 * A zod schema as the structural OpenAPI schema of a CustomResourceDefinition. Pure.
 *
 * The API server estimates what each CEL rule may cost from the sizes of the lists around it, so every list and map has
 * a bound, and a text far down is checked by `pattern`, whose message is poorer but which costs nothing.
 *
 * @module
 */
import { z } from "zod";
import { type CelRule, celText, formatOf, rulesOf, type TextCheck, type TextFormat } from "./validation.ts";

export interface StructuralSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly format?: string;
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly required?: readonly string[];
  readonly items?: StructuralSchema;
  readonly additionalProperties?: StructuralSchema;
  readonly "x-kubernetes-validations"?: readonly CelRule[];
  readonly [keyword: string]: unknown;
}

/** What zod makes of a schema; `additionalProperties: false` stands beside properties. */
interface JsonSchema {
  readonly [keyword: string]: unknown;
  readonly type?: string | readonly string[];
  readonly default?: unknown;
  readonly format?: string;
  readonly pattern?: string;
  readonly const?: unknown;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | false;
}

/** The API server allows 10 million a rule and 100 million a kind; the rules of several fields count, too. */
const MAX_RULE_COST = 8_000_000;

/** Keywords that mean the same to both. */
const KEPT = [
  "description",
  "enum",
  "minLength",
  "maxLength",
  "minimum",
  "maximum",
  "minItems",
  "maxItems",
  "maxProperties",
  "required",
  "x-kubernetes-list-map-keys",
] as const;
/** Keywords that the conversion reads, or that say nothing here. */
const READ: ReadonlySet<string> = new Set([
  ...KEPT,
  "$schema",
  "type",
  "const",
  "default",
  "format",
  "pattern",
  "properties",
  "items",
  "additionalProperties",
  "propertyNames",
  "x-kubernetes-list-type",
  "x-kubernetes-validations",
  "x-postroom-format",
]);

/** Throws for what a structural schema cannot say. */
export function structuralSchema(schema: z.ZodType, maxRuleCost = MAX_RULE_COST): StructuralSchema {
  return convert(z.toJSONSchema(schema, { io: "input" }) as JsonSchema, maxRuleCost);
}

/** `budget`: what a rule may cost here, so the less the more often this field may stand in one object. */
function convert(schema: JsonSchema, budget: number): StructuralSchema {
  const strange = Object.keys(schema).find((keyword) => !READ.has(keyword));
  if (strange !== undefined) throw new Error(`Cannot say "${strange}" in a structural schema`);
  const { validations, pattern } = checksOf(schema, budget);
  const byTime = formatOf(schema) === undefined && schema.format === "date-time";
  return {
    type: typeOf(schema),
    ...Object.fromEntries(KEPT.flatMap((keyword) => entryOf(schema, keyword))),
    ...(schema.const === undefined ? {} : { enum: [schema.const] }),
    ...(schema.default === undefined ? {} : { default: fullDefault(schema) }),
    ...(byTime ? { format: "date-time" } : {}),
    ...(pattern === undefined || byTime ? {} : { pattern }),
    ...childrenOf(schema, budget),
    ...(validations.length === 0 ? {} : { "x-kubernetes-validations": validations }),
  };
}

function entryOf(schema: JsonSchema, keyword: (typeof KEPT)[number]): [string, unknown][] {
  const value = schema[keyword];
  return value === undefined || value === Number.MIN_SAFE_INTEGER ? [] : [[keyword, value]];
}

function typeOf({ type, const: value }: JsonSchema): string {
  if (typeof type !== "string") throw new Error("A structural schema has one type everywhere");
  return Number.isInteger(value) ? "integer" : type;
}

function childrenOf(schema: JsonSchema, budget: number): Partial<StructuralSchema> {
  const { properties, items, additionalProperties } = schema;
  if (items !== undefined) {
    const kind = schema["x-kubernetes-list-type"] ?? "atomic";
    return { items: convert(items, budget / bound(schema.maxItems)), "x-kubernetes-list-type": kind };
  }
  if (properties !== undefined) {
    const converted = Object.entries(properties).map(([name, field]) => [name, convert(field, budget)]);
    return { properties: Object.fromEntries(converted) };
  }
  if (!additionalProperties) return {};
  return { additionalProperties: convert(additionalProperties, budget / bound(schema.maxProperties)) };
}

function bound(max: number | undefined): number {
  if (max === undefined) throw new Error("Every list and map needs a bound");
  return max;
}

/** A default is not completed by the defaults below it before the API server checks it: it must be whole. */
function fullDefault(schema: JsonSchema): unknown {
  const given = schema.default;
  if (schema.properties === undefined || typeof given !== "object" || given === null) return given;
  const below = Object.entries(schema.properties)
    .filter(([, field]) => field.default !== undefined)
    .map(([name, field]) => [name, fullDefault(field)]);
  return { ...Object.fromEntries(below), ...given };
}

interface Checks {
  readonly validations: readonly CelRule[];
  readonly pattern: string | undefined;
}

function checksOf(schema: JsonSchema, budget: number): Checks {
  const rules = rulesOf(schema);
  const format = formatOf(schema);
  if (format === undefined) return { validations: rules, pattern: schema.pattern };
  const rule = affordableRule(format, schema.maxLength ?? 0, budget);
  if (rule !== undefined) {
    return { validations: [{ rule, message: format.message }, ...rules], pattern: undefined };
  }
  const pattern = format.checks.find((check) => "pattern" in check)?.pattern;
  if (pattern === undefined) throw new Error(`Cannot afford to check: ${format.message}`);
  return { validations: rules, pattern };
}

function affordableRule({ checks }: TextFormat, length: number, budget: number): string | undefined {
  const check = checks.find((one) => costOf(one, length) <= budget);
  if (check === undefined) return undefined;
  return "rule" in check ? check.rule : `self.matches(${celText(check.pattern)})`;
}

/** As cel-go estimates matches(): a tenth of the text's octets, four a character, times a quarter of the pattern. */
function costOf(check: TextCheck, length: number): number {
  if ("rule" in check) return check.cost;
  return Math.ceil((4 * length) / 10 + 1) * Math.ceil(check.pattern.length / 4);
}
