/** Admin requests: what may come over the admin socket, read strictly. An unknown or misspelt field is refused. Pure. */
import type { QueueFilter, QueueKind } from "./store.ts";

export type AdminRequest =
  | { readonly verb: "suspend" | "resume"; readonly filter: QueueFilter }
  | { readonly verb: "retry"; readonly filter: QueueFilter; readonly resubmit: boolean }
  | { readonly verb: "remove"; readonly filter: QueueFilter; readonly withDsn: boolean };

export type AdminAnswer =
  | { readonly ok: true; readonly count: number }
  | { readonly ok: false; readonly error: string };

type Fields = Readonly<Record<string, unknown>>;

const KINDS: readonly unknown[] = ["Submission", "Delivery", "Unreachable", "Poison", "Quarantine"];

/** Reads one line; throws with the field that is wrong. */
export function parseAdminRequest(line: string): AdminRequest {
  const { verb, filter, ...options } = objectOf(JSON.parse(line), "request");
  const parsed = parseFilter(filter);
  if (verb === "suspend" || verb === "resume") {
    refuseOthers(options, []);
    return { verb, filter: parsed };
  }
  if (verb === "retry") {
    refuseOthers(options, ["resubmit"]);
    return { verb, filter: parsed, resubmit: booleanOf(options, "resubmit") };
  }
  if (verb === "remove") {
    refuseOthers(options, ["withDsn"]);
    return { verb, filter: parsed, withDsn: booleanOf(options, "withDsn") };
  }
  throw new Error('Cannot read request: "verb" is none of suspend, resume, retry, remove');
}

/** Reads the transport's answer. */
export function parseAdminAnswer(line: string): AdminAnswer {
  const { ok, count, error } = objectOf(JSON.parse(line), "answer");
  if (ok === true && typeof count === "number") return { ok, count };
  return { ok: false, error: typeof error === "string" ? error : "The transport's answer cannot be read" };
}

function parseFilter(value: unknown): QueueFilter {
  const { ids, queue, nextHop, ...others } = objectOf(value, "filter");
  refuseOthers(others, []);
  if (ids !== undefined && !isTexts(ids)) throw new Error('Cannot read request: "ids" is no list of texts');
  if (queue !== undefined && !isKind(queue)) throw new Error('Cannot read request: "queue" is no queue');
  if (nextHop !== undefined && typeof nextHop !== "string") {
    throw new Error('Cannot read request: "nextHop" is no text');
  }
  return {
    ...(ids === undefined ? {} : { ids }),
    ...(queue === undefined ? {} : { queue }),
    ...(nextHop === undefined ? {} : { nextHop }),
  };
}

function objectOf(value: unknown, name: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new Error(`Cannot read request: "${name}" is no object`);
}

function booleanOf(fields: Fields, name: string): boolean {
  const value = fields[name];
  if (typeof value !== "boolean") throw new Error(`Cannot read request: "${name}" is neither true nor false`);
  return value;
}

function refuseOthers(fields: Fields, known: readonly string[]): void {
  const other = Object.keys(fields).find((name) => !known.includes(name));
  if (other !== undefined) throw new Error(`Cannot read request: "${other}" is not known`);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

function isKind(value: unknown): value is QueueKind {
  return KINDS.includes(value);
}
