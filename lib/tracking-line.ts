/**
 * TrackingLine: a line of the tracking log, read. A line tells of all rules of a message; read, it is an event for each
 * rule, which is how logs were written before. Pure.
 */

export interface TrackingRecord {
  readonly time: string;
  readonly event: string;
  readonly id: string;
  readonly networkMessageId: string;
  readonly messageId: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly [detail: string]: unknown;
}

/** No record for an empty line, and for one cut by a crash. */
export function readTrackingLine(line: string): readonly TrackingRecord[] {
  const { rules, ...event } = parse(line) ?? {};
  if (event.event === undefined) return [];
  const record = event as TrackingRecord;
  if (!Array.isArray(rules)) return [record];
  // A rule that is about other recipients than the event names them.
  return rules.map((rule: object) => ({ ...record, ...rule }));
}

function parse(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return line === "" ? undefined : JSON.parse(line);
  } catch {
    return undefined;
  }
}
