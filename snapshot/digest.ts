/** Digest of a snapshot: sha256 over canonical JSON (keys sorted, undefined left out), so equal content has one name. */
import { createHash } from "node:crypto";
import type { Compiled } from "../lib/diagnostics.ts";
import type { Snapshot } from "./schema.ts";

/** Adds version and digest. */
export function sealSnapshot(content: Omit<Snapshot, "version" | "digest">): Snapshot {
  const unsealed = { version: 1, ...content } as const;
  return { ...unsealed, digest: digestOf(unsealed) };
}

/** Reads a snapshot that was written down, and refuses one of another version or with changed octets. */
export function parseSnapshot(json: string): Compiled<Snapshot> {
  let content: unknown;
  try {
    content = JSON.parse(json);
  } catch {
    return refuse("is no JSON: it was cut off or overwritten");
  }
  if (typeof content !== "object" || content === null || Array.isArray(content))
    return refuse("is no object");
  const { digest, ...rest } = content as Partial<Snapshot>;
  if (rest.version !== 1) return refuse("was written by another version of Postroom");
  if (digest !== digestOf(rest)) return refuse("was changed: its digest differs");
  // The digest vouches for the content: only sealSnapshot() makes one.
  return { ok: true, value: content as Snapshot, diagnostics: [] };
}

function refuse(message: string): Compiled<Snapshot> {
  return {
    ok: false,
    diagnostics: [
      {
        object: "Snapshot",
        path: "",
        reason: "Invalid",
        message: `The snapshot ${message}`,
        severity: "error",
      },
    ],
  };
}

function digestOf(content: object): string {
  return createHash("sha256").update(canonicalJson(content)).digest("hex");
}

/** JSON with sorted keys. Values are plain data: what JSON.stringify keeps is kept. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`);
  return `{${fields.join(",")}}`;
}
