import { describe, expect, test } from "vitest";
import { z } from "zod";
import { CUSTOM_RESOURCES, customResourceDefinition } from "./custom-resource.ts";
import { type StructuralSchema, structuralSchema } from "./structural-schema.ts";
import { matching, withFormat, withRules } from "./validation.ts";

const WORD = matching(/^[a-z]+$/, "write a word").max(10);

describe("structuralSchema()", () => {
  test.each([
    {
      name: "an object says nothing of additional properties",
      schema: z.strictObject({ a: z.boolean() }),
      want: { type: "object", properties: { a: { type: "boolean" } }, required: ["a"] },
    },
    {
      name: "a default of an object holds the defaults below it",
      schema: z.strictObject({
        tls: z
          .strictObject({ mode: z.enum(["On", "Off"]).default("On"), name: WORD.optional() })
          .prefault({}),
      }),
      want: { properties: { tls: { default: { mode: "On" } } } },
    },
    {
      name: "a literal is an enum of one",
      schema: z.literal(1),
      want: { type: "integer", enum: [1] },
    },
    {
      name: "a pattern is a rule with the schema's own words",
      schema: WORD,
      want: {
        maxLength: 10,
        "x-kubernetes-validations": [{ rule: 'self.matches("^[a-z]+$")', message: "write a word" }],
      },
    },
    {
      name: "a pattern that would cost too much as a rule stays a pattern",
      schema: z.array(WORD).max(10_000_000),
      want: { "x-kubernetes-list-type": "atomic", items: { pattern: "^[a-z]+$" } },
    },
    {
      name: "rules add up",
      schema: withRules(withRules(z.strictObject({}), { rule: "a" }), { rule: "b" }),
      want: { "x-kubernetes-validations": [{ rule: "a" }, { rule: "b" }] },
    },
    {
      name: "a map has a bound",
      schema: z.record(z.string(), z.string().max(9)).meta({ maxProperties: 5 }),
      want: { type: "object", maxProperties: 5, additionalProperties: { type: "string", maxLength: 9 } },
    },
  ])("$name", ({ schema, want }) => {
    expect(structuralSchema(schema)).toMatchObject(want);
  });

  test.each([
    { name: "a list without a bound", schema: z.array(z.string()), says: "Every list and map needs a bound" },
    { name: "a union", schema: z.union([z.string(), z.number()]), says: "one type" },
    {
      name: "a format that is too dear",
      schema: withFormat(z.string(), { message: "x", checks: [{ rule: "x", cost: 1e9 }] }),
      says: "Cannot afford to check: x",
    },
  ])("$name is our fault", ({ schema, says }) => {
    expect(() => structuralSchema(schema)).toThrow(says);
  });
});

/** Paths of all schemas below that fail `holds`. */
function failing(
  schema: StructuralSchema,
  path: string,
  holds: (one: StructuralSchema) => boolean,
): string[] {
  const below: [string, StructuralSchema | undefined][] = [
    ...Object.entries(schema.properties ?? {}).map(([name, field]): [string, StructuralSchema] => [
      `.${name}`,
      field,
    ]),
    ["[]", schema.items],
    ["{}", schema.additionalProperties],
  ];
  const deeper = below.flatMap(([step, one]) => (one === undefined ? [] : failing(one, path + step, holds)));
  return [...(holds(schema) ? [] : [path]), ...deeper];
}

describe.each(CUSTOM_RESOURCES)("the definition of $kind", (resource) => {
  const { spec } = customResourceDefinition(resource) as {
    spec: { versions: { schema: { openAPIV3Schema: { properties: Record<string, StructuralSchema> } } }[] };
  };
  const { spec: asked, status } = spec.versions[0]?.schema.openAPIV3Schema.properties ?? {};

  test("bounds every text: the cost of a rule is estimated from it", () => {
    const isBounded = ({ type, maxLength, enum: words, format }: StructuralSchema) =>
      type !== "string" || maxLength !== undefined || words !== undefined || format === "date-time";
    expect(failing(asked ?? {}, "spec", isBounded)).toEqual([]);
    expect(failing(status ?? {}, "status", isBounded)).toEqual([]);
  });

  test("describes every field", () => {
    const describes = ({ properties = {} }: StructuralSchema) =>
      Object.values(properties).every(({ description = "" }) => description.length > 4);
    expect(failing(asked ?? {}, "spec", describes)).toEqual([]);
    expect(failing(status ?? {}, "status", describes)).toEqual([]);
  });
});
