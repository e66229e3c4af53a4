/** Summary: rows of the two summary queries (sqlite-reads.ts) as one row a queue. */
import type { Row } from "./item-codec.ts";
import type { QueueKind, QueueSummary } from "./store.ts";

/** The groups of what may fall due and of what is suspended, as one row a queue. */
export function mergeSummary([due, suspended]: [Row[], Row[]]): QueueSummary[] {
  const groups = new Map<string, QueueSummary>();
  for (const row of due) {
    const [queue, nextHop, messages, retrying, oldest, nextDueAt, lastError] = row as SummaryRow;
    groups.set(`${queue} ${nextHop}`, {
      ...{ queue, nextHop, messages, retrying, suspended: 0, oldest, nextDueAt },
      lastError: lastError ?? undefined,
    });
  }
  for (const row of suspended) {
    const [queue, nextHop, messages, oldest, lastError] = row as [
      QueueKind,
      string,
      number,
      number,
      string | null,
    ];
    const other = groups.get(`${queue} ${nextHop}`);
    groups.set(`${queue} ${nextHop}`, {
      queue,
      nextHop,
      messages: messages + (other?.messages ?? 0),
      retrying: other?.retrying ?? 0,
      suspended: messages,
      oldest: Math.min(oldest, other?.oldest ?? oldest),
      nextDueAt: other?.nextDueAt,
      lastError: other?.lastError ?? lastError ?? undefined,
    });
  }
  return [...groups.values()];
}

type SummaryRow = [QueueKind, string, number, number, number, number, string | null];
