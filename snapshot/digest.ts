/** A snapshot written down as one JSON text, and read back. */
import type { Compiled } from "../lib/diagnostics.ts";
import { parseJson, refuse } from "./chunks.ts";
import { packSnapshot } from "./pack.ts";
import type { Snapshot } from "./schema.ts";

/** Reads a snapshot that was written down, and refuses one of another version or with changed octets. */
export function parseSnapshot(json: string): Compiled<Snapshot> {
  const content = parseJson(json) as Snapshot | null | undefined;
  try {
    if (content?.digest === packSnapshot(content as Snapshot).digest)
      return { ok: true, value: content, diagnostics: [] };
  } catch {}
  return refuse("was changed: its digest differs");
}
