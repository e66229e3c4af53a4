/** Reads a core/v1 Secret: `stringData` as it stands, `data` from base64. Its values never appear in a fault. Pure. */
import type { FieldFault } from "./faults.ts";

export interface SecretContent {
  readonly content: Readonly<Record<string, string>>;
  readonly faults: readonly FieldFault[];
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export function readSecret(manifest: Readonly<Record<string, unknown>>): SecretContent {
  const content: Record<string, string> = Object.create(null);
  const faults: FieldFault[] = [];
  for (const [key, value] of entriesOf(manifest, "data", faults)) {
    const octets = decodeBase64(value);
    if (octets === undefined)
      faults.push({ path: ["data", key], reason: "is not base64; plain text belongs in stringData" });
    // Octets that are no UTF-8 belong to somebody else's Secret: every key that Postroom reads is text.
    else if (isUtf8(octets)) content[key] = octets.toString("utf8");
  }
  // The API server writes stringData over data.
  for (const [key, value] of entriesOf(manifest, "stringData", faults)) content[key] = value;
  return { content: { ...content }, faults };
}

function entriesOf(
  manifest: Readonly<Record<string, unknown>>,
  field: "data" | "stringData",
  faults: FieldFault[],
): [string, string][] {
  const map = manifest[field] ?? {};
  if (typeof map !== "object" || Array.isArray(map)) {
    faults.push({ path: [field], reason: "must be an object of key: text" });
    return [];
  }
  const entries: [string, string][] = [];
  for (const [key, value] of Object.entries(map)) {
    if (typeof value === "string") entries.push([key, value]);
    else faults.push({ path: [field, key], reason: "must be text: write it in quotes" });
  }
  return entries;
}

function decodeBase64(text: string): Buffer | undefined {
  const compact = text.replace(/\s+/g, "");
  return BASE64.test(compact) ? Buffer.from(compact, "base64") : undefined;
}

function isUtf8(octets: Buffer): boolean {
  return Buffer.from(octets.toString("utf8"), "utf8").equals(octets);
}
