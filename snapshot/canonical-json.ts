/** Canonical JSON: keys sorted, undefined left out, so that equal content is equal text. Values are plain data. */

export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return canonicalArray(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  let text = "{";
  for (const key of Object.keys(value).sort()) {
    const field = (value as Readonly<Record<string, unknown>>)[key];
    if (field === undefined) continue;
    text += `${text === "{" ? "" : ","}${JSON.stringify(key)}:${canonicalJson(field)}`;
  }
  return `${text}}`;
}

function canonicalArray(items: readonly unknown[]): string {
  // Long lists are lists of domains and addresses: they have no keys to sort.
  if (items.every((item) => typeof item === "string")) return JSON.stringify(items);
  return `[${items.map((item) => canonicalJson(item ?? null)).join(",")}]`;
}
