/** Labels of the replies that are counted: the same object for the same labels, so that whoever counts may go by it. */
import type { ReceiveConnectorEntry } from "../../snapshot/schema.ts";

export interface ReplyLabels extends Readonly<Record<string, string>> {
  readonly connector: string;
  readonly verb: string;
  readonly code: string;
}

/** Other words come from the client, and would make a metric grow without end. */
const VERBS = new Set(
  "CONNECT SESSION UNKNOWN EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT EXPN".split(
    " ",
  ),
);

/** By connector, verb and code. A connector that is configured anew begins anew. */
const known = new WeakMap<ReceiveConnectorEntry, Map<string, Map<number, ReplyLabels>>>();

export function replyLabels(connector: ReceiveConnectorEntry, verb: string, code: number): ReplyLabels {
  const byVerb = known.get(connector) ?? new Map<string, Map<number, ReplyLabels>>();
  if (byVerb.size === 0) known.set(connector, byVerb);
  const name = nameOf(verb);
  const byCode = byVerb.get(name) ?? new Map<number, ReplyLabels>();
  if (byCode.size === 0) byVerb.set(name, byCode);
  const labels = byCode.get(code) ?? { connector: connector.name, verb: name, code: String(code) };
  if (!byCode.has(code)) byCode.set(code, labels);
  return labels;
}

function nameOf(verb: string): string {
  if (VERBS.has(verb)) return verb;
  const upper = verb.toUpperCase();
  return VERBS.has(upper) ? upper : "OTHER";
}
