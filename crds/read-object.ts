/** readObject: the one way an object is read by its schema, from a file or from the API server. Pure. */
import { describeIssues, type FieldFault } from "./faults.ts";
import { type AnyResource, API_VERSION, KINDS } from "./kinds.ts";

/** The object with its defaults; or its name (kind/namespace/name, "" when it does not say) and every fault. */
export type ReadObject =
  | { readonly resource: AnyResource; readonly faults: readonly [] }
  | { readonly resource: undefined; readonly object: string; readonly faults: readonly FieldFault[] };

export function readObject(value: unknown): ReadObject {
  if (!isObject(value)) return refused("", [{ path: [], reason: "is no object" }]);
  const definition = KINDS.find(({ kind }) => kind === value.kind);
  if (definition === undefined) {
    return refused("", [{ path: ["kind"], reason: `is no kind of ${API_VERSION}` }]);
  }
  const { schema, kind } = definition;
  const parsed = schema.safeParse(value, { reportInput: true });
  if (!parsed.success) return refused(nameOf(kind, value), describeIssues(schema, parsed.error.issues));
  // The schema has checked every field; zod's type of a schema chosen at run time is only "some object".
  return { resource: parsed.data as unknown as AnyResource, faults: [] };
}

/** An object as the API server has it: items of a list come without kind, and what it adds to metadata is none of the schema's. */
export function readLiveObject(
  kind: string,
  { metadata, spec }: { readonly metadata: Readonly<Record<string, unknown>>; readonly spec?: unknown },
): ReadObject {
  const { name, namespace, creationTimestamp, generation } = metadata;
  const kept = { name, namespace, creationTimestamp, generation };
  return readObject({ apiVersion: API_VERSION, kind, metadata: kept, spec });
}

function refused(object: string, faults: readonly FieldFault[]): ReadObject {
  return { resource: undefined, object, faults };
}

/** kind/namespace/name, or "" when the object does not name itself. */
export function nameOf(kind: string, { metadata }: Readonly<Record<string, unknown>>): string {
  if (!isObject(metadata) || typeof metadata.name !== "string") return "";
  const namespace = metadata.namespace ?? "default";
  return typeof namespace === "string" ? `${kind}/${namespace}/${metadata.name}` : "";
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
