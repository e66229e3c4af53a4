import { describe, expect, test } from "vitest";
import { z } from "zod";
import { INTERNAL_KINDS, KINDS, RESERVED_KINDS } from "./kinds.ts";

interface FieldSchema {
  readonly description?: string;
  readonly additionalProperties?: unknown;
  readonly items?: FieldSchema;
  readonly properties?: Readonly<Record<string, FieldSchema>>;
}

/** Dotted paths of all fields below a schema that fail `holds`. */
function fieldsThatFail(schema: FieldSchema, path: string, holds: (field: FieldSchema) => boolean): string[] {
  const inner = schema.items ?? schema;
  return Object.entries(inner.properties ?? {}).flatMap(([name, field]) => [
    ...(holds(field) ? [] : [`${path}.${name}`]),
    ...fieldsThatFail(field, `${path}.${name}`, holds),
  ]);
}

function jsonSchema(schema: z.ZodType): FieldSchema {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as FieldSchema;
}

describe("KINDS", () => {
  test.each(KINDS.map(({ kind, schema }) => ({ kind, schema })))(
    "every field of $kind is described",
    ({ kind, schema }) => {
      const undescribed = fieldsThatFail(
        jsonSchema(schema),
        kind,
        ({ description = "" }) => description.length > 4,
      );
      expect(undescribed).toEqual([]);
    },
  );

  test.each(KINDS.map(({ kind, spec }) => ({ kind, spec })))(
    "every object of $kind refuses unknown fields",
    ({ kind, spec }) => {
      const loose = fieldsThatFail(jsonSchema(spec), kind, (field) => {
        const object = field.items ?? field;
        return object.properties === undefined || object.additionalProperties === false;
      });
      expect(loose).toEqual([]);
    },
  );

  test("names, plurals and short names are each used once", () => {
    const names = KINDS.flatMap(({ kind, plural, shortNames }) => [kind, plural, ...shortNames]).concat(
      RESERVED_KINDS,
      INTERNAL_KINDS,
    );
    expect(new Set(names).size).toBe(names.length);
  });
});
