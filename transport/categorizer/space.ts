/** Address spaces of send connectors: what they hold, how specific they are, who comes first. Pure. */
import { toALabel } from "../../mail/domain.ts";
import type { SendConnectorEntry } from "../../snapshot/schema.ts";

/** One address space of one connector. */
export interface Space {
  readonly connector: SendConnectorEntry;
  /** As written, for the explanation. */
  readonly text: string;
  /** "Exact": the name alone. "Subtree": *.name, the name and all below. "Any": "*". */
  readonly kind: "Exact" | "Subtree" | "Any";
  readonly domain: string;
  readonly cost: number;
}

/** The address spaces of a connector, as names to compare. */
export function spacesOf(connector: SendConnectorEntry): Space[] {
  return connector.addressSpaces.flatMap(({ domain: text, cost }) => {
    if (text === "*") return { connector, text, kind: "Any" as const, domain: "", cost };
    const domain = toALabel(text.startsWith("*.") ? text.slice(2) : text);
    // Text that is no domain matches nothing; compile reports it.
    if (domain === undefined) return [];
    return {
      connector,
      text,
      kind: text.startsWith("*.") ? ("Subtree" as const) : ("Exact" as const),
      domain,
      cost,
    };
  });
}

/** Greater is more specific: the exact name, then *.parent by length, then "*". */
export function specificity(space: Space): number {
  if (space.kind === "Any") return 0;
  return space.kind === "Exact" ? Number.POSITIVE_INFINITY : space.domain.length;
}

/** Lowest cost, then name. */
export function compareSpaces(a: Space, b: Space): number {
  return a.cost - b.cost || compareNames(a.connector.name, b.connector.name);
}

export function isTooSmall(connector: SendConnectorEntry, size: number): boolean {
  return connector.maxMessageSize !== undefined && size > connector.maxMessageSize;
}

function compareNames(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
