/** Renders docs/crds.md from the schemas of crds/: one section a kind, with an example and a table of its fields. Pure. */
import { z } from "zod";
import { Duration, Quantity } from "../crds/common.ts";
import { type CustomResource, INTERNAL_RESOURCES } from "../crds/custom-resource.ts";
import { API_VERSION, KINDS, type KindDefinition, RESERVED_KINDS } from "../crds/mod.ts";

/** The part of a JSON schema that the tables show. */
interface FieldSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly allOf?: readonly FieldSchema[];
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: FieldSchema;
  readonly properties?: Readonly<Record<string, FieldSchema>>;
  readonly additionalProperties?: FieldSchema | false;
  readonly required?: readonly string[];
}

const INTRO = `# The kinds of ${API_VERSION}

Generated from the schemas in \`crds/\` by \`npm run gen\`: do not edit. A field that is not listed here is refused,
with the nearest one that exists. Quantities are octets such as \`36Mi\`, durations such as \`5m\` or \`1h30m\`.
Check manifests with \`npx postroom check PATH\`. In a cluster the API server checks the same when an object is applied;
\`kubectl explain\` shows these fields, \`kubectl get mail\` lists all objects of these kinds.
`;

const INTERNAL = `## Internal kinds

Written by the operator and the pods only; \`kubectl get mail-internal\` lists them. By them a snapshot reaches the pods.`;

/** \`examples\`: kind -> YAML of one valid object. */
export function renderCrdDocs(examples: ReadonlyMap<string, string>): string {
  const index = KINDS.map(({ kind, summary }) => `- [${kind}](#${kind.toLowerCase()}): ${summary}`);
  const reserved = `Reserved for later versions, and refused in this one: ${RESERVED_KINDS.join(", ")}.`;
  const sections = KINDS.map((kind) => renderKind(kind, examples.get(kind.kind) ?? ""));
  const internal = INTERNAL_RESOURCES.map(renderInternal);
  return `${[INTRO, index.join("\n"), reserved, ...sections, INTERNAL, ...internal].join("\n\n").replace(/\n{3,}/g, "\n\n")}\n`;
}

function renderKind({ kind, plural, shortNames, summary, spec }: KindDefinition, example: string): string {
  const rows = fieldRows(toJsonSchema(spec), "spec", new Map());
  return [
    `## ${kind}`,
    `${summary} \`kubectl get ${plural}\`, short: \`${shortNames.join("`, `")}\`.`,
    `\`\`\`yaml\n${example.trim()}\n\`\`\``,
    table(rows),
  ].join("\n\n");
}

function renderInternal({ kind, shortNames, summary, spec, status }: CustomResource): string {
  const rows = fieldRows(toJsonSchema(spec), "spec", new Map());
  const said = status === undefined ? [] : fieldRows(toJsonSchema(status), "status", new Map());
  const head = `### ${kind}\n\n${summary} Short: \`${shortNames.join("`, `")}\`.`;
  return `${head}\n\n${table([...rows, ...said])}`;
}

/** The fields of a schema as a table, without a word before them. */
export function fieldTable(schema: z.ZodType): string {
  return table(fieldRows(toJsonSchema(schema), "", new Map()));
}

function table(rows: readonly string[]): string {
  return ["| field | type | default | description |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

const QUANTITY = toJsonSchema(Quantity).pattern;
const DURATION = toJsonSchema(Duration).pattern;

export function toJsonSchema(schema: z.ZodType): FieldSchema {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as FieldSchema;
}

/** Rows of an object's fields, nested ones below their parent. `seen`: fields listed before -> where. */
function fieldRows(schema: FieldSchema, path: string, seen: Map<string, string>): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const here = path === "" ? name : `${path}.${name}`;
    const { object, suffix } = objectOf(field);
    const twin = object && rememberTwin(object, here + suffix, seen);
    const required = (schema.required ?? []).includes(name);
    const note = twin === undefined ? "" : ` Fields as in ${code(twin)}.`;
    const cells = [code(here), typeOf(field), defaultOf(field, required), (field.description ?? "") + note];
    const row = `| ${cells.map(escapeCell).join(" | ")} |`;
    return object && twin === undefined ? [row, ...fieldRows(object, here + suffix, seen)] : [row];
  });
}

/** The object behind a field: itself, or the items of a list. */
function objectOf(field: FieldSchema): { object: FieldSchema | undefined; suffix: string } {
  if (field.properties !== undefined) return { object: field, suffix: "" };
  if (field.items?.properties !== undefined) return { object: field.items, suffix: "[]" };
  return { object: undefined, suffix: "" };
}

/** Predicates stand at four places: they are listed once. */
function rememberTwin(object: FieldSchema, path: string, seen: Map<string, string>): string | undefined {
  const { anyOf, ...fields } = object.properties ?? {};
  if (Object.keys(fields).length < 8) return undefined;
  const key = JSON.stringify(fields);
  const twin = seen.get(key);
  if (twin === undefined) seen.set(key, path);
  return twin;
}

function typeOf(field: FieldSchema): string {
  if (field.enum !== undefined) return field.enum.map((value) => code(String(value))).join(" | ");
  if (field.type === "array")
    return `list of ${field.items === undefined ? "anything" : typeOf(field.items)}`;
  if (field.format === "date-time") return "time";
  if (field.additionalProperties) return `map of ${typeOf(field.additionalProperties)}`;
  const patterns = [field, ...(field.allOf ?? [])].map(({ pattern }) => pattern);
  if (patterns.includes(QUANTITY)) return "quantity";
  if (patterns.includes(DURATION)) return "duration";
  const { type = "anything", minimum, maximum } = field;
  return type === "integer" || type === "number" ? type + rangeOf(minimum, maximum) : type;
}

function rangeOf(minimum: number | undefined, maximum: number | undefined): string {
  const from = minimum === Number.MIN_SAFE_INTEGER ? undefined : minimum;
  const to = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (from === undefined) return to === undefined ? "" : ` up to ${to}`;
  return to === undefined ? ` from ${from}` : ` ${from} to ${to}`;
}

function defaultOf(field: FieldSchema, required: boolean): string {
  if (required) return "required";
  const value = field.default;
  if (value === undefined || ["{}", '""'].includes(JSON.stringify(value))) return "";
  return code(typeof value === "string" ? value : JSON.stringify(value));
}

function code(text: string): string {
  return `\`${text}\``;
}

function escapeCell(text: string): string {
  return text.replace(/\|/g, "\\|").replace(/\s+/g, " ").trim();
}
